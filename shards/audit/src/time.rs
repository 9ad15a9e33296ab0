//! Moments as text, in UTC, and the days that files are named by.

const DAY_MS: u64 = 86_400_000;
/// The end of 9999: nothing later has an RFC 3339 form.
const LAST_MS: u64 = 253_402_300_799_999;

/// A day in UTC, counted from the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub u64);

impl Day {
    pub fn of(ms: u64) -> Day {
        Day(ms.min(LAST_MS) / DAY_MS)
    }

    /// The first ms behind it.
    pub fn end_ms(self) -> u64 {
        self.start_ms().saturating_add(DAY_MS)
    }

    pub fn start_ms(self) -> u64 {
        self.0.saturating_mul(DAY_MS)
    }

    /// Reads `2026-01-31`.
    pub fn parse(text: &str) -> Option<Day> {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let widths = (year.len(), month.len(), day.len()) == (4, 2, 2);
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !widths || parts.next().is_some() || ![year, month, day].into_iter().all(is_number) {
            return None;
        }
        let days = days_of(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        let found = Day(u64::try_from(days).ok()?);
        // The way back tells whether there is such a day.
        (found.to_string() == text).then_some(found)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = civil_of(self.0 as i64);
        write!(formatter, "{year:04}-{month:02}-{day:02}")
    }
}

/// Appends a moment as RFC 3339 with milliseconds.
pub(crate) fn write_rfc3339(out: &mut Vec<u8>, ms: u64) {
    let ms = ms.min(LAST_MS);
    let (year, month, day) = civil_of((ms / DAY_MS) as i64);
    let rest = ms % DAY_MS;
    let mut digits = |value: u64, width: u32, behind: u8| {
        for power in (0..width).rev() {
            out.push(b'0' + (value / 10u64.pow(power) % 10) as u8);
        }
        out.push(behind);
    };
    digits(year as u64, 4, b'-');
    digits(month as u64, 2, b'-');
    digits(day as u64, 2, b'T');
    digits(rest / 3_600_000, 2, b':');
    digits(rest / 60_000 % 60, 2, b':');
    digits(rest / 1_000 % 60, 2, b'.');
    digits(rest % 1_000, 3, b'Z');
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ms: u64) -> String {
        let mut out = Vec::new();
        write_rfc3339(&mut out, ms);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn moments_are_written_in_utc() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(1_767_225_599_999), "2025-12-31T23:59:59.999Z");
        assert_eq!(text(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn days_are_read_as_they_are_written_and_nothing_else_is() {
        for days in (0..146_097).map(Day) {
            assert_eq!(Day::parse(&days.to_string()), Some(days));
        }
        for bad in ["", "2001-02-29", "2000-13-01", "2000-1-01", "2000-01-01-", "+200-01-01"] {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
        assert_eq!(Day::of(u64::MAX).to_string(), "9999-12-31");
    }
}
