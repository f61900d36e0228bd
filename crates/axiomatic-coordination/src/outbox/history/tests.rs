use super::*;

mod mutations;
mod planted;

/// The message with this number.
fn id(number: u128) -> MessageId {
    MessageId::from_u128(number)
}

fn published(number: u128, epoch: u64) -> Event {
    Event::Published {
        id: id(number),
        epoch: Epoch(epoch),
    }
}

fn committed(number: u128, key: &str, order: u64) -> Event {
    Event::Committed {
        id: id(number),
        key: Some(key.into()),
        order,
    }
}

fn effect(number: u128) -> Event {
    Event::Effect { id: id(number) }
}

fn rolled_back(number: u128) -> Event {
    Event::RolledBack { id: id(number) }
}

fn unknown(number: u128) -> Event {
    Event::Unknown { id: id(number) }
}

fn buried(number: u128) -> Event {
    Event::Buried { id: id(number) }
}

fn violations(events: &[Event]) -> Vec<Violation> {
    check(&events.iter().cloned().collect(), Consumer::Once)
}
