//! States of an incident, in the words of the LPSE's register, and the kinds of entry in its history.

use super::priority::codes;

/// Tercatat -> Penanganan -> Penyelesaian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Tercatat: recorded, nobody has taken it.
    Recorded,
    /// Penanganan: somebody handles it.
    Handling,
    /// Penyelesaian: resolved.
    Resolved,
}

codes!(State { Recorded => "recorded", Handling => "handling", Resolved => "resolved" });

/// Kinds of entry in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Opened by a signal.
    Opened,
    /// Recorded by a person.
    Recorded,
    /// A further signal joined.
    Joined,
    /// A person took it.
    Taken,
    /// A person wrote a note.
    Comment,
    /// The priority changed.
    Priority,
    /// Resolved, by a person or by itself.
    Resolved,
    /// Open again, because the cause came back.
    Recurred,
    /// Open again, because the cause was never gone.
    StillStanding,
}

codes!(EventKind {
    Opened => "opened",
    Recorded => "recorded",
    Joined => "joined",
    Taken => "taken",
    Comment => "comment",
    Priority => "priority",
    Resolved => "resolved",
    Recurred => "recurred",
    StillStanding => "still_standing",
});
