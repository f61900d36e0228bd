//! The table of transitions, written a second time.

use super::super::standing::next;
use super::*;

pub(super) const STANDINGS: [Standing; 10] = [
    Standing::Waiting,
    Standing::Running,
    Standing::InDoubt,
    Standing::Done,
    Standing::Failed,
    Standing::Stuck,
    Standing::Undoing,
    Standing::UndoInDoubt,
    Standing::UndoStuck,
    Standing::Undone,
];

/// A row for how a step stood, a column for each line in the order of
/// [`Kind::ALL`]; in it how the step stands then, by the letters of the rows.
/// What is said of the saga is said of no step.
const TABLE: &str = "
    began done failed doubted undo_began undone undo_doubted stuck turned signalled undo_retried undo_skipped resumed abandoned refused
W   R     D    F      I       .          .      .            .     .      .         .            .            .       .         .
R   R     D    F      I       u          U      i            S     .      .         .            .            .       .         .
I   R     D    F      I       u          U      i            S     .      .         .            .            .       .         .
D   .     .    .      .       u          U      i            .     .      .         .            .            .       .         .
F   .     .    .      .       u          U      i            .     .      .         .            .            .       .         .
S   .     .    F      .       u          U      i            .     .      .         .            .            I       .         .
u   .     .    .      .       u          U      i            s     .      .         .            .            .       .         .
i   .     .    .      .       u          U      i            s     .      .         .            U            .       .         .
s   .     .    .      .       .          .      .            .     .      .         i            U            .       .         .
U   .     .    .      .       .          .      .            .     .      .         .            .            .       .         .
";

/// What the table says.
pub(super) fn follows(from: Standing, kind: Kind) -> Option<Standing> {
    const LETTERS: &str = "WRIDFSuisU";
    let row = STANDINGS.iter().position(|standing| *standing == from)?;
    let column = Kind::ALL.iter().position(|other| *other == kind)?;
    let line = TABLE.lines().nth(row + 2)?;
    let cell = line.split_whitespace().nth(column + 1)?;
    let at = LETTERS.find(cell)?;
    Some(STANDINGS[at])
}

#[test]
fn each_line_of_the_log_has_a_step_stand_as_the_table_says() {
    let heads = TABLE.lines().nth(1).expect("a head").split_whitespace();
    let kinds = Kind::ALL.map(|kind| kind.as_str().replace(' ', "_"));
    assert!(heads.eq(kinds.iter()), "the columns are in another order");
    for from in STANDINGS {
        for kind in Kind::ALL {
            assert_eq!(next(from, kind), follows(from, kind), "{from:?}, {kind:?}");
        }
    }
}

#[test]
fn what_is_left_of_a_step_is_what_its_undo_takes_away() {
    use Standing as S;
    let left = [
        S::Running,
        S::InDoubt,
        S::Done,
        S::Stuck,
        S::Undoing,
        S::UndoInDoubt,
        S::UndoStuck,
    ];
    for standing in STANDINGS {
        let is_left = left.contains(&standing);
        let is_begun = left[4..].contains(&standing);
        assert_eq!(standing.may_be_left(), is_left, "{standing:?}");
        assert_eq!(standing.is_to_undo(Undo::Effects), is_left, "{standing:?}");
        assert_eq!(standing.is_to_undo(Undo::Nothing), is_begun, "{standing:?}");
        let is_even = is_left || standing == S::Failed;
        assert_eq!(
            standing.is_to_undo(Undo::EvenFailed),
            is_even,
            "{standing:?}"
        );
        let is_of_undo = is_begun || standing == S::Undone;
        assert_eq!(standing.is_of_undo(), is_of_undo, "{standing:?}");
    }
}
