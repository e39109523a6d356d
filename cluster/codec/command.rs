//! Commands.

use weir_proto::entry as pb;
use weir_proto::entry::proposal::Op as PbOp;
use weir_protocol::{Append, Create, ProducerHeaders, StreamName, StreamSeq, Timestamp};
use weir_storage::{Given, Op};

use super::fork::{
    fork_from_pb, fork_to_pb, given_from_pb, reference_from_pb, reference_to_pb, retain_from_pb, retain_to_pb,
};
use super::{Malformed, content_type, lifetime_from_pb, lifetime_to_pb, name, payload_from_pb, payload_to_pb};

pub(crate) fn op_to_pb(op: &Op) -> PbOp {
    match op {
        Op::Create(name, create) => PbOp::Create(create_to_pb(name, create, None)),
        Op::Fork(name, create, given) => PbOp::Create(create_to_pb(name, create, Some(given))),
        Op::Append(name, append) => PbOp::Append(pb::Append {
            name: name.to_string(),
            content_type: append.content_type.as_ref().map(ToString::to_string),
            payload: Some(payload_to_pb(&append.payload)),
            close: append.close,
            stream_seq: append.stream_seq.as_ref().map(|seq| seq.as_str().to_owned()),
            producer: append.producer.as_ref().map(|producer| pb::Producer {
                id: producer.id.to_string(),
                epoch: producer.epoch,
                seq: producer.seq,
            }),
        }),
        Op::Delete(name) => PbOp::Delete(pb::Delete { name: name.to_string() }),
        Op::Touch(name) => PbOp::Touch(pb::Touch { name: name.to_string() }),
        Op::Expire { cutoff, limit } => PbOp::Expire(pb::Expire {
            cutoff: cutoff.as_millis(),
            limit: *limit as u64,
        }),
        Op::Retain(retain) => PbOp::Retain(retain_to_pb(retain)),
        Op::Release(reference) => PbOp::Release(pb::Release {
            reference: Some(reference_to_pb(reference)),
        }),
        Op::Settle { fork_id } => PbOp::Settle(pb::Settle { fork_id: *fork_id }),
        Op::Probe(reference) => PbOp::Probe(pb::Probe {
            reference: Some(reference_to_pb(reference)),
        }),
    }
}

fn create_to_pb(name: &StreamName, create: &Create, given: Option<&Given>) -> pb::Create {
    pb::Create {
        name: name.to_string(),
        content_type: create.content_type.as_ref().map(ToString::to_string),
        lifetime: Some(lifetime_to_pb(create.lifetime)),
        payload: Some(payload_to_pb(&create.payload)),
        closed: create.closed,
        fork: create.fork.as_ref().map(|fork| fork_to_pb(fork, given)),
    }
}

/// # Errors
/// [`Malformed`] unless it is a command of ours.
pub(crate) fn op_from_pb(op: PbOp) -> Result<Op, Malformed> {
    Ok(match op {
        PbOp::Create(create) => {
            let given = create.fork.as_ref().map(given_from_pb).transpose()?.flatten();
            let name = name(&create.name)?;
            let create = create_from_pb(create)?;
            match given {
                Some(given) => Op::Fork(name, create, given),
                None => Op::Create(name, create),
            }
        }
        PbOp::Append(append) => Op::Append(name(&append.name)?, append_from_pb(append)?),
        PbOp::Delete(delete) => Op::Delete(name(&delete.name)?),
        PbOp::Touch(touch) => Op::Touch(name(&touch.name)?),
        PbOp::Expire(expire) => Op::Expire {
            cutoff: Timestamp::from_millis(expire.cutoff),
            limit: usize::try_from(expire.limit).map_err(|_| Malformed)?,
        },
        PbOp::Retain(retain) => Op::Retain(retain_from_pb(retain)?),
        PbOp::Release(release) => Op::Release(reference_from_pb(release.reference)?),
        PbOp::Settle(settle) => Op::Settle {
            fork_id: settle.fork_id,
        },
        PbOp::Probe(probe) => Op::Probe(reference_from_pb(probe.reference)?),
    })
}

fn create_from_pb(create: pb::Create) -> Result<Create, Malformed> {
    Ok(Create {
        content_type: create.content_type.as_deref().map(content_type).transpose()?,
        lifetime: lifetime_from_pb(create.lifetime.as_ref())?,
        payload: payload_from_pb(create.payload)?,
        closed: create.closed,
        fork: create.fork.as_ref().map(fork_from_pb).transpose()?,
    })
}

fn append_from_pb(append: pb::Append) -> Result<Append, Malformed> {
    let stream_seq = append.stream_seq.as_deref().map(StreamSeq::new).transpose();
    Ok(Append {
        content_type: append.content_type.as_deref().map(content_type).transpose()?,
        payload: payload_from_pb(append.payload)?,
        close: append.close,
        stream_seq: stream_seq.map_err(|_| Malformed)?,
        producer: append.producer.map(|producer| ProducerHeaders {
            id: producer.id.into(),
            epoch: producer.epoch,
            seq: producer.seq,
        }),
    })
}
