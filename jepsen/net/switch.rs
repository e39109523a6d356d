//! An Ethernet switch in this process: it joins TAP devices and does to each frame what the rules say. Kernels without
//! netem can delay and reorder this way, and every fault is counted where it acts.
//!
//! It runs on a thread of its own, so that busy clients do not delay frames.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tun_rs::{AsyncDevice, DeviceBuilder, Layer, SyncDevice};

use super::rules::{End, Fate, Rules};

/// The largest frame: large ones are cheaper to carry, and no node sends larger ones.
pub(crate) const MTU: u16 = 9000;
const FRAME_BYTES: usize = MTU as usize + 64;

/// Frames that wait for one end; a real switch drops what does not fit, and so does this one.
const QUEUE_FRAMES: usize = 4096;

/// A TAP device of this network namespace, to be moved to where it is used.
///
/// # Errors
/// When there is no `/dev/net/tun`, or it may not be used.
pub(crate) fn tap(name: &str) -> io::Result<SyncDevice> {
    DeviceBuilder::new()
        .name(name)
        .layer(Layer::L2)
        .packet_information(false)
        .enable(false)
        .build_sync()
}

/// The hardware address of an end, locally administered.
pub(crate) fn hardware_address(end: End) -> [u8; 6] {
    [0x02, 0x57, 0x4a, 0, (end >> 8) as u8, end as u8]
}

/// A running switch. Dropping it stops it.
pub(crate) struct Switch {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Switch {
    /// Joins the devices, the position of each being its end.
    ///
    /// # Errors
    /// When a device or the thread cannot be used.
    pub(crate) fn start(devices: Vec<SyncDevice>, rules: Rules) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let devices = {
            let _guard = runtime.enter();
            let devices = devices.into_iter().map(AsyncDevice::new);
            devices
                .map(|device| Ok(Arc::new(device?)))
                .collect::<io::Result<Vec<_>>>()?
        };
        let thread = std::thread::Builder::new().name("switch".to_owned()).spawn(move || {
            runtime.block_on(async {
                carry(&devices, &rules);
                // An error means that the switch was dropped, which is to stop as well.
                let _ = stopped.await;
            });
        })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It has no way to panic that would tell anything about the system under test.
            let _ = thread.join();
        }
    }
}

/// A frame on its way.
struct Frame {
    due: Instant,
    number: u64,
    bytes: Vec<u8>,
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl Eq for Frame {}

impl PartialOrd for Frame {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Frame {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

fn carry(devices: &[Arc<AsyncDevice>], rules: &Rules) {
    let mut queues = Vec::new();
    for device in devices {
        let (sender, receiver) = mpsc::channel(QUEUE_FRAMES);
        queues.push(sender);
        tokio::spawn(deliver(Arc::clone(device), receiver));
    }
    for (end, device) in devices.iter().enumerate() {
        tokio::spawn(collect(end, Arc::clone(device), queues.clone(), rules.clone()));
    }
}

/// Takes what one end sends.
async fn collect(from: End, device: Arc<AsyncDevice>, queues: Vec<mpsc::Sender<Frame>>, rules: Rules) {
    let mut buffer = vec![0; FRAME_BYTES];
    let mut last_due: BTreeMap<End, Instant> = BTreeMap::new();
    let mut number = 0;
    loop {
        let length = match device.recv(&mut buffer).await {
            Ok(length) => length,
            // The device is down for the moment, as in a namespace that is not set up yet.
            Err(_) => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                continue;
            }
        };
        let frame = &buffer[..length];
        for to in receivers(frame, from, queues.len()) {
            let now = Instant::now();
            let due = match rules.next(from, to) {
                Fate::Gone => continue,
                Fate::Late(by) => {
                    let last = last_due.entry(to).or_insert(now);
                    *last = (*last).max(now + by);
                    *last
                }
                Fate::Overtaken(by) => now + by,
            };
            number += 1;
            let bytes = frame.to_vec();
            // A full queue loses frames, as in any switch.
            let _ = queues[to].try_send(Frame { due, number, bytes });
        }
    }
}

/// Where a frame goes: to the end that has the address, or to all.
fn receivers(frame: &[u8], from: End, ends: usize) -> impl Iterator<Item = End> {
    let to = frame.get(..6).unwrap_or_default().to_vec();
    let known = (0..ends).find(|end| to == hardware_address(*end));
    let is_broadcast = to.first().is_some_and(|byte| byte & 1 == 1);
    (0..ends).filter(move |end| *end != from && (is_broadcast || Some(*end) == known))
}

/// Gives to one end what is due.
async fn deliver(device: Arc<AsyncDevice>, mut queue: mpsc::Receiver<Frame>) {
    let mut waiting: BinaryHeap<Reverse<Frame>> = BinaryHeap::new();
    loop {
        let due = waiting.peek().map(|Reverse(frame)| frame.due);
        let is_due = async {
            match due {
                Some(due) if due <= Instant::now() => {}
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = is_due => {
                if let Some(Reverse(frame)) = waiting.pop() {
                    // An end that is down takes nothing.
                    let _ = device.send(&frame.bytes).await;
                }
            }
            frame = queue.recv() => match frame {
                Some(frame) => waiting.push(Reverse(frame)),
                None => return,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_to_their_address_or_to_all() {
        let to_two = [hardware_address(2).as_slice(), &[0; 8]].concat();
        assert_eq!(receivers(&to_two, 1, 4).collect::<Vec<_>>(), [2]);
        assert_eq!(receivers(&[0xff; 14], 1, 4).collect::<Vec<_>>(), [0, 2, 3]);
        assert_eq!(receivers(&[2, 0, 0, 0, 0, 0], 1, 4).count(), 0);
        assert_eq!(receivers(&[], 1, 4).count(), 0);
    }

    #[test]
    fn what_is_due_first_leaves_first() {
        let now = Instant::now();
        let frame = |ms, number| Frame {
            due: now + std::time::Duration::from_millis(ms),
            number,
            bytes: Vec::new(),
        };
        let mut heap: BinaryHeap<_> = [frame(9, 1), frame(3, 2), frame(3, 3)]
            .into_iter()
            .map(Reverse)
            .collect();
        let order: Vec<u64> = std::iter::from_fn(|| heap.pop().map(|Reverse(frame)| frame.number)).collect();
        assert_eq!(order, [2, 3, 1]);
    }
}
