//! What a client says to PostgreSQL, message by message: as much of the protocol (version 3.0) as it takes to know a question from
//! half of one, and a COMMIT from anything else.

use std::collections::HashSet;

/// A message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The server has all it needs now, and answers.
    Question { is_commit: bool },
    /// More is to come, or nothing is to be answered.
    Other,
}

/// One connection, as far as it was heard.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    heard: Vec<u8>,
    has_begun: bool,
    /// Prepared statements, and portals, that are a COMMIT.
    statements: HashSet<Vec<u8>>,
    portals: HashSet<Vec<u8>>,
    /// A COMMIT was ordered by the extended protocol, and its Sync is to come.
    commits: bool,
}

impl Talk {
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
    }

    /// The next whole message.
    pub(crate) fn next(&mut self) -> Option<Message> {
        // Before the conversation begins, messages have no type: the length comes first.
        let type_length = usize::from(self.has_begun);
        let length = self.heard.get(type_length..type_length + 4)?;
        let length = type_length + u32::from_be_bytes(length.try_into().expect("four")) as usize;
        if self.heard.len() < length {
            return None;
        }
        let bytes: Vec<u8> = self.heard.drain(..length).collect();
        if !self.has_begun {
            // A request for encryption comes before the beginning; its code is no version.
            self.has_begun = bytes.get(4..6) == Some(&[0, 3]);
            return Some(Message { bytes, kind: Kind::Other });
        }
        let kind = self.kind_of(bytes[0], &bytes[5..]);
        Some(Message { bytes, kind })
    }

    fn kind_of(&mut self, letter: u8, body: &[u8]) -> Kind {
        let mut words = body.split(|byte| *byte == 0);
        let mut word = || words.next().unwrap_or_default().to_vec();
        let remember = |names: &mut HashSet<Vec<u8>>, name: Vec<u8>, is_commit: bool| {
            if is_commit {
                names.insert(name)
            } else {
                names.remove(&name)
            };
        };
        match letter {
            b'Q' => return Kind::Question { is_commit: is_commit(&word()) },
            b'S' => return Kind::Question { is_commit: std::mem::take(&mut self.commits) },
            b'P' => {
                let (name, sql) = (word(), word());
                remember(&mut self.statements, name, is_commit(&sql));
            }
            b'B' => {
                let (portal, statement) = (word(), word());
                let is_commit = self.statements.contains(&statement);
                remember(&mut self.portals, portal, is_commit);
            }
            b'E' => self.commits |= self.portals.contains(&word()),
            _ => {}
        }
        Kind::Other
    }
}

fn is_commit(sql: &[u8]) -> bool {
    let sql = sql.trim_ascii();
    sql.strip_suffix(b";").unwrap_or(sql).eq_ignore_ascii_case(b"COMMIT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(letter: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
        [&[letter], &length[..], body].concat()
    }

    fn begun() -> Talk {
        let mut talk = Talk::default();
        // A request for encryption (80877103), and the beginning (3.0).
        talk.hear(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
        talk.hear(&[0, 0, 0, 9, 0, 3, 0, 0, 0]);
        assert!(talk.next().is_some_and(|message| message.kind == Kind::Other));
        assert!(talk.next().is_some_and(|message| message.kind == Kind::Other));
        talk
    }

    #[test]
    fn a_commit_is_known_by_the_simple_protocol_and_by_the_extended_one() {
        let mut talk = begun();
        let kinds = |talk: &mut Talk| std::iter::from_fn(|| talk.next()).map(|message| message.kind).collect::<Vec<_>>();
        talk.hear(&[message(b'Q', b"COMMIT\0"), message(b'Q', b"SELECT 'COMMIT'\0")].concat());
        assert_eq!(kinds(&mut talk), [Kind::Question { is_commit: true }, Kind::Question { is_commit: false }]);
        talk.hear(&[message(b'P', b"s1\0commit;\0\0\0"), message(b'B', b"\0s1\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0")].concat());
        assert_eq!(kinds(&mut talk), [Kind::Other; 3]);
        talk.hear(&message(b'S', b""));
        assert_eq!(kinds(&mut talk), [Kind::Question { is_commit: true }]);
        talk.hear(&[message(b'P', b"s2\0SELECT 1\0\0\0"), message(b'B', b"\0s2\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0")].concat());
        talk.hear(&message(b'S', b""));
        assert_eq!(kinds(&mut talk).last(), Some(&Kind::Question { is_commit: false }));
    }

    #[test]
    fn half_a_message_is_none_and_none_is_changed_on_its_way() {
        let mut talk = begun();
        let sent = [message(b'Q', b"BEGIN\0"), message(b'S', b"")].concat();
        let mut got = Vec::new();
        for byte in &sent {
            talk.hear(&[*byte]);
            got.extend(std::iter::from_fn(|| talk.next()).flat_map(|message| message.bytes));
        }
        assert_eq!(got, sent);
    }
}
