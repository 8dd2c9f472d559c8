//! Days and times in words.

use domain::language::Language;
use domain::time::Timestamp;
use time::OffsetDateTime;

const MONTHS: [[&str; 12]; 4] = [
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
    ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"],
    ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"],
    ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"],
];

/// Day and minute in UTC; the zone of the reader is not known to a server.
pub(crate) fn moment(language: Language, at: Timestamp) -> String {
    let Ok(at) = OffsetDateTime::from_unix_timestamp(at.as_seconds()) else { return String::new() };
    let (year, number, day, hour, minute) = (at.year(), u8::from(at.month()), at.day(), at.hour(), at.minute());
    let month = |names: &[&'static str; 12]| names[usize::from(number) - 1];
    let [english, german, french, spanish] = &MONTHS;
    match language {
        Language::English => format!("{day} {} {year}, {hour:02}:{minute:02} UTC", month(english)),
        Language::German => format!("{day}. {} {year}, {hour:02}:{minute:02} UTC", month(german)),
        Language::French => {
            let day = if day == 1 { "1er".to_owned() } else { day.to_string() };
            format!("{day} {} {year} à {hour:02}:{minute:02} UTC", month(french))
        }
        Language::Spanish => format!("{day} de {} de {year}, {hour:02}:{minute:02} UTC", month(spanish)),
        Language::Chinese => format!("{year}年{number}月{day}日 {hour:02}:{minute:02} UTC"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_people_of_the_language_write_it() {
        let at: Timestamp = "2026-08-01T07:05:59Z".parse().expect("is a moment");
        for (language, text) in [
            (Language::English, "1 August 2026, 07:05 UTC"),
            (Language::German, "1. August 2026, 07:05 UTC"),
            (Language::French, "1er août 2026 à 07:05 UTC"),
            (Language::Spanish, "1 de agosto de 2026, 07:05 UTC"),
            (Language::Chinese, "2026年8月1日 07:05 UTC"),
        ] {
            assert_eq!(moment(language, at), text);
        }
    }
}
