//! The lengths of archived records and pieces. A journal or snapshot of before is read by these: one
//! that changes needs a higher `FORMAT_VERSION`.

use engine::{Command, Input, Message, OrderImage, Piece, QuestionImage};
use rkyv::Archived;

#[test]
fn records_and_pieces_have_the_length_that_files_of_before_have() {
    let lengths = [
        ("input", size_of::<Archived<Input>>(), 90),
        ("command", size_of::<Archived<Command>>(), 89),
        ("message", size_of::<Archived<Message>>(), 68),
        ("piece", size_of::<Archived<Piece>>(), 81),
        ("question", size_of::<Archived<QuestionImage>>(), 29),
        ("order", size_of::<Archived<OrderImage>>(), 192),
    ];
    for (what, length, before) in lengths {
        assert_eq!(length, before, "{what}");
    }
}
