use proptest::prelude::*;
use weir_protocol::{AppendError, CreateError, DeleteError, Fault, HeadError, ListError, ReadError};

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        prop::sample::select(vec!["no leader", "starting"]).prop_map(Fault::Unavailable),
        Just(Fault::Overloaded),
        Just(Fault::OutcomeUnknown),
        Just(Fault::StorageFull),
        "\\PC{0,20}".prop_map(Fault::Storage),
    ]
}

proptest! {
    /// An error that every operation can have reads the same from each.
    #[test]
    fn a_fault_says_the_same_everywhere(fault in faults()) {
        let texts = [
            CreateError::from(fault.clone()).to_string(),
            AppendError::from(fault.clone()).to_string(),
            DeleteError::from(fault.clone()).to_string(),
            HeadError::from(fault.clone()).to_string(),
            ReadError::from(fault.clone()).to_string(),
            ListError::from(fault.clone()).to_string(),
        ];
        prop_assert!(texts.iter().all(|text| *text == fault.to_string()), "{:?}", texts);
    }

    #[test]
    fn a_gap_names_both_numbers(expected in any::<u64>(), received in any::<u64>()) {
        let text = AppendError::SequenceGap { expected, received }.to_string();
        prop_assert_eq!(text, format!("expected Producer-Seq {expected}, received {received}"));
    }
}
