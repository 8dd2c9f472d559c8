//! Distinguished names: of certificates, and as people write them (RFC 4514).
//!
//! Invariant: two are the same when every part of them is, byte for byte, once the escapes are taken off.

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::Any;
use x509_cert::der::{Encode, Tag, Tagged};
use x509_cert::name::Name;

use crate::text::BadText;

/// The subject of a certificate: its parts in their order, the attributes of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject(Vec<Vec<Attribute>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Attribute {
    oid: String,
    /// `None` for what is no text, or one of an alphabet that nobody knows for sure.
    text: Option<String>,
    der: Vec<u8>,
}

impl Subject {
    pub(super) fn of(name: &Name) -> Self {
        Self(name.iter_rdn().map(|part| part.iter().map(Attribute::of).collect()).collect())
    }
}

impl Attribute {
    fn of(read: &AttributeTypeAndValue) -> Self {
        Self { oid: read.oid.to_string(), text: text(&read.value), der: read.value.to_der().unwrap_or_default() }
    }
}

fn text(value: &Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Tag::PrintableString | Tag::Ia5String => bytes.is_ascii().then(|| bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (units, rest) = bytes.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            char::decode_utf16(units).collect::<Result<_, _>>().ok().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// A subject as somebody wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WantedSubject(Vec<Vec<(String, Wanted)>>);

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Text(String),
    /// What was written as `#…`: the encoding itself.
    Der(Vec<u8>),
}

/// Names of attribute types, of RFC 4514, 3, and of what certificates of banks and of people have besides.
const TYPES: [(&str, &str); 22] = [
    ("cn", "2.5.4.3"),
    ("sn", "2.5.4.4"),
    ("serialnumber", "2.5.4.5"),
    ("c", "2.5.4.6"),
    ("l", "2.5.4.7"),
    ("st", "2.5.4.8"),
    ("street", "2.5.4.9"),
    ("o", "2.5.4.10"),
    ("ou", "2.5.4.11"),
    ("title", "2.5.4.12"),
    ("businesscategory", "2.5.4.15"),
    ("postalcode", "2.5.4.17"),
    ("gn", "2.5.4.42"),
    ("givenname", "2.5.4.42"),
    ("dnqualifier", "2.5.4.46"),
    ("organizationidentifier", "2.5.4.97"),
    ("uid", "0.9.2342.19200300.100.1.1"),
    ("dc", "0.9.2342.19200300.100.1.25"),
    ("emailaddress", "1.2.840.113549.1.9.1"),
    ("jurisdictionl", "1.3.6.1.4.1.311.60.2.1.1"),
    ("jurisdictionst", "1.3.6.1.4.1.311.60.2.1.2"),
    ("jurisdictionc", "1.3.6.1.4.1.311.60.2.1.3"),
];

const BAD: BadText = BadText("must be a distinguished name as RFC 4514 writes it, such as CN=pay.example,O=Pay\\, Inc.,C=DE");

impl WantedSubject {
    /// Reads a name whose last part comes first. Space around `,`, `+` and `=` is passed over.
    ///
    /// # Errors
    /// When it is none, is empty, or is longer than 1,024 bytes.
    pub(super) fn read(text: &str) -> Result<Self, BadText> {
        if text.len() > 1_024 {
            return Err(BadText("is longer than 1024 bytes"));
        }
        let mut parts = vec![Vec::new()];
        let mut rest = text;
        loop {
            let (name, value) = rest.split_once('=').ok_or(BAD)?;
            let oid = oid(name.trim_matches(' ')).ok_or(BAD)?;
            let (value, end, after) = wanted(value.trim_start_matches(' '))?;
            let part: &mut Vec<(String, Wanted)> = parts.last_mut().ok_or(BAD)?;
            if part.iter().any(|(known, _)| *known == oid) {
                return Err(BAD);
            }
            part.push((oid, value));
            match end {
                None => break,
                Some(',') => parts.push(Vec::new()),
                Some(_) => {}
            }
            rest = after;
        }
        parts.reverse();
        Ok(Self(parts))
    }

    /// Whether it is this one.
    pub(super) fn is(&self, subject: &Subject) -> bool {
        let is_attribute = |(oid, wanted): &(String, Wanted), part: &[Attribute]| {
            part.iter().any(|attribute| {
                attribute.oid == *oid
                    && match wanted {
                        Wanted::Text(text) => attribute.text.as_ref() == Some(text),
                        Wanted::Der(der) => attribute.der == *der,
                    }
            })
        };
        let is_part = |(wanted, part): (&Vec<_>, &Vec<Attribute>)| {
            wanted.len() == part.len() && wanted.iter().all(|wanted| is_attribute(wanted, part))
        };
        self.0.len() == subject.0.len() && self.0.iter().zip(&subject.0).all(is_part)
    }
}

fn oid(name: &str) -> Option<String> {
    if let Some((_, oid)) = TYPES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
        return Some((*oid).to_owned());
    }
    let is_arc = |arc: &str| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'));
    (name.contains('.') && name.split('.').all(is_arc)).then(|| name.to_owned())
}

/// One value, the sign that ends it, and what comes after that.
fn wanted(text: &str) -> Result<(Wanted, Option<char>, &str), BadText> {
    let mut bytes = Vec::new();
    // Up to here it holds, whatever comes: space at the end does so only when it is escaped.
    let mut kept = 0;
    let mut signs = text.char_indices();
    let (mut end, mut after) = (None, "");
    while let Some((place, sign)) = signs.next() {
        match sign {
            ',' | '+' => {
                (end, after) = (Some(sign), &text[place + 1..]);
                break;
            }
            '\\' => {
                let (_, escaped) = signs.next().ok_or(BAD)?;
                if let Some(high) = escaped.to_digit(16) {
                    let low = signs.next().and_then(|(_, low)| low.to_digit(16)).ok_or(BAD)?;
                    bytes.push(u8::try_from(high * 16 + low).map_err(|_| BAD)?);
                } else if " \"#+,;<=>\\".contains(escaped) {
                    bytes.extend(escaped.encode_utf8(&mut [0; 4]).bytes());
                } else {
                    return Err(BAD);
                }
                kept = bytes.len();
            }
            '"' | ';' | '<' | '>' | '\0' => return Err(BAD),
            _ => {
                bytes.extend(sign.encode_utf8(&mut [0; 4]).bytes());
                if sign != ' ' {
                    kept = bytes.len();
                }
            }
        }
    }
    bytes.truncate(kept);
    if text.starts_with('#') {
        let digits: Vec<_> = bytes[1..].iter().map(|digit| char::from(*digit).to_digit(16)).collect::<Option<_>>().ok_or(BAD)?;
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            return Err(BAD);
        }
        let der = pairs.iter().map(|[high, low]| u8::try_from(high * 16 + low).map_err(|_| BAD)).collect::<Result<_, _>>()?;
        return Ok((Wanted::Der(der), end, after));
    }
    if bytes.is_empty() {
        return Err(BAD);
    }
    Ok((Wanted::Text(String::from_utf8(bytes).map_err(|_| BAD)?), end, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of all parts, the last part first.
    fn values(text: &str) -> Vec<String> {
        let read = WantedSubject::read(text).unwrap_or_else(|bad| panic!("{text}: {bad}"));
        let shown = |wanted: Wanted| match wanted {
            Wanted::Text(text) => text,
            Wanted::Der(der) => format!("{der:?}"),
        };
        read.0.into_iter().rev().flatten().map(|(_, wanted)| shown(wanted)).collect()
    }

    #[test]
    fn names_are_read_as_rfc_4514_writes_them() {
        // RFC 4514, 4.
        for (text, wanted) in [
            ("UID=jsmith,DC=example,DC=net", vec!["jsmith", "example", "net"]),
            ("OU=Sales+CN=J.  Smith,DC=example,DC=net", vec!["Sales", "J.  Smith", "example", "net"]),
            (r#"CN=James \"Jim\" Smith\, III,DC=example,DC=net"#, vec!["James \"Jim\" Smith, III", "example", "net"]),
            (r"CN=Before\0dAfter,DC=example,DC=net", vec!["Before\rAfter", "example", "net"]),
            ("1.3.6.1.4.1.1466.0=#04024869", vec!["[4, 2, 72, 105]"]),
            (r"CN=Lu\C4\8Di\C4\87", vec!["Lučić"]),
            (r"CN = \ a\  , O=b ", vec![" a ", "b"]),
            (r"CN=\#04,O=a=b", vec!["#04", "a=b"]),
        ] {
            assert_eq!(values(text), wanted, "{text}");
        }
    }
}
