//! What loom does not come to.

use super::*;
use crate::bloom::Generations;

/// Had every sweep missed a word until its tag came again, an insertion
/// waited for it until the next generation, and so for ever if `now` stayed.
#[test]
fn a_word_whose_tag_has_come_again_is_not_waited_for() {
    for generations in [Generations::Two, Generations::Four, Generations::Eight] {
        let shape = RingShape::new(1, generations, 0.01).unwrap();
        let stale = |head: Head, own: Word, other: Word| {
            let ring = Ring::new(shape, 1_000_000).unwrap();
            let words = ring.group(0);
            for (at, word) in words.iter().enumerate() {
                let to = if at == head.current() { own } else { other };
                assert!(word.replace(word.load(), to));
            }
            let inserted = ring.insert(7, 500);
            assert!(inserted.is_new && ring.may_contain(7, 500));
        };
        let head = Head::of(0, generations.log2());
        let over = Word::sealed_empty(head.past(0));
        // Sealed as if a later generation had begun, and open beside words
        // that nobody has sealed.
        stale(head, Word::sealed_empty(head.round()), over);
        stale(head, Word::opened(head.round(), 0), over);
    }
}
/// Who skips a generation renews the oldest word, which may have the key,
/// before it seals the one of a late inserter. That one must not take the
/// key for new in its own generation, which is forgotten too early for who
/// comes later. Step by step, since loom does not come to that schedule.
#[test]
fn a_late_inserter_does_not_add_beside_a_word_that_was_renewed() {
    let shape = RingShape::new(1, Generations::Four, 1e-6).unwrap();
    let ring = Ring::new(shape, 100).unwrap();
    let (known, other) = (7 << 20, 9 << 40);
    ring.insert(known, 50);
    let late = ring.insert(other, 350).during;
    let (words, head) = (ring.group(0), ring.head(late));
    let mask = mask::tagged_mask(known, shape.draws());
    // All are sealed: it goes into the open word, and is known of old.
    assert_eq!(ring.add(words, head, mask), Some(false));

    let ring = Ring::new(shape, 100).unwrap();
    ring.insert(known, 50);
    ring.insert(other, 350);
    let (words, later) = (ring.group(0), Head::of(5, 2));
    assert!(words[0].replace(words[0].load(), Word::sealed_empty(later.alive(0))));
    assert_eq!(ring.add(words, head, mask), None);
}
