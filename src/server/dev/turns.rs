//! How the nodes of one machine share its processors.

#[cfg(target_os = "linux")]
mod linux {
    use std::io;

    use rustix::process::getpriority_process;
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };

    /// The one that keeps a task from interrupting another one because it was woken (`SCHED_BATCH`).
    const POLICY: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);

    pub(super) fn take_turns() -> io::Result<()> {
        let nice = getpriority_process(None)?;
        let priority = priority_of(nice).ok_or(io::ErrorKind::Unsupported)?;
        set_thread_priority_and_policy(thread_native_id(), priority, POLICY).map_err(io::Error::other)
    }

    /// The library sets a nice value with the policy, and counts in parts of a hundred: the part that leaves it as it is.
    fn priority_of(nice: i32) -> Option<ThreadPriority> {
        let mut priorities = (0_u8..100).filter_map(|part| ThreadPriority::try_from(part).ok());
        priorities.find(|priority| priority.to_posix(POLICY) == Ok(nice))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn every_nice_value_can_be_kept() {
            for nice in -20..=19 {
                let priority = priority_of(nice).unwrap();
                assert_eq!(priority.to_posix(POLICY), Ok(nice));
            }
        }
    }
}

/// Has this thread, and the processes that it starts from now on, interrupt nobody when they are woken. Nodes that share a
/// machine wake each other all the time; each then handles what has come together before the next one runs: a sixth more
/// writes from three nodes on two processors, with less than a tenth of the interruptions.
///
/// Where it is not possible, or forbidden, they are slower: no reason not to start them.
pub(super) fn take_turns() {
    #[cfg(target_os = "linux")]
    if let Err(cause) = linux::take_turns() {
        crate::client::say(format_args!(
            "weir: the nodes cannot be kept from interrupting each other: {cause}"
        ));
    }
}
