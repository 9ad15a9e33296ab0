//! Moments between milliseconds since the epoch and RFC 3339 in UTC.

use std::str::FromStr;

const DAY_MS: i64 = 86_400_000;

/// A moment, in ms since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

/// Not a moment.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be like 2026-01-31, 2026-01-31T12:00:00Z or 2026-01-31T12:00:00.123+01:00, or ms since the epoch"
)]
pub struct InstantError;

impl Instant {
    /// RFC 3339 with milliseconds.
    pub fn to_rfc3339(self) -> String {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        let (days, rest) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
        let (year, month, day) = civil_of(days);
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
        let (second, ms) = (rest / 1_000 % 60, rest % 1_000);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

impl FromStr for Instant {
    type Err = InstantError;

    fn from_str(text: &str) -> Result<Instant, InstantError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Instant).map_err(|_| InstantError);
        }
        let ms = if text.len() == 10 { date(text) } else { date_and_time(text) };
        ms.and_then(|ms| u64::try_from(ms).ok()).map(Instant).ok_or(InstantError)
    }
}

/// Days since the epoch of a date in the Gregorian calendar, and back: the algorithms of Howard
/// Hinnant, whose year begins in March so that the leap day is its last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = (shifted + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

fn number(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && range.contains(number))
}

fn date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month) = (number(year, 1970..=9999)?, number(month, 1..=12)?);
    let days = days_of(year, month, number(day, 1..=31)?);
    let exists = civil_of(days).1 == month && parts.next().is_none();
    exists.then_some(days * DAY_MS)
}

fn date_and_time(text: &str) -> Option<i64> {
    let (day, clock) = text.split_once(['T', 't', ' '])?;
    let offset_at = clock.find(['Z', 'z', '+', '-'])?;
    let (clock, offset) = clock.split_at(offset_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 0..=23)?;
    let minute = number(parts.next()?, 0..=59)?;
    let second = number(parts.next()?, 0..=59)?;
    number(fraction, 0..=i64::MAX)?;
    let ms = number(&format!("{fraction:0<3}")[..3], 0..=999)?;
    if parts.next().is_some() {
        return None;
    }
    let time = ((hour * 60 + minute) * 60 + second) * 1_000 + ms;
    Some(date(day)? + time - offset_ms(offset)?)
}

fn offset_ms(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text[1..].split_once(':')?;
    Some(sign * (number(hours, 0..=23)? * 60 + number(minutes, 0..=59)?) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        assert_eq!(Instant(0).to_rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Instant(951_782_400_000).to_rfc3339(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Instant(1_767_225_599_999).to_rfc3339(), "2025-12-31T23:59:59.999Z");
    }

    #[test]
    fn moments_are_read_in_the_forms_that_people_type() {
        let ms = |text: &str| text.parse::<Instant>().ok().map(|instant| instant.0);
        assert_eq!(ms("1767225599999"), Some(1_767_225_599_999));
        assert_eq!(ms("2000-02-29"), Some(951_782_400_000));
        assert_eq!(ms("2000-02-29T01:00:00+01:00"), Some(951_782_400_000));
        assert_eq!(ms("2000-02-28 23:30:00.25-00:30"), Some(951_782_400_250));
        for bad in [
            "",
            "yesterday",
            "2001-02-29",
            "2000-13-01",
            "2000-02-29T24:00:00Z",
            "2000-02-29T01:00:00",
        ] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_read_as_it_is_written() {
        for days in 0..146_097 {
            let instant = Instant(days * DAY_MS as u64);
            assert_eq!(instant.to_rfc3339()[..10].parse::<Instant>().unwrap(), instant);
        }
    }
}
