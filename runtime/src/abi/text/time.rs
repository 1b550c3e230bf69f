//! `ctime`.

const SECONDS_A_DAY: i64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time that [`ctime`] does not write. The messages are SystemTap's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CtimeError {
    /// Before 1901-12-13 20:45:52.
    #[error("Time too far in the past to be converted")]
    Past,
    /// After 2038-01-19 03:14:07.
    #[error("Time too far in the future to be converted")]
    Future,
}

/// `ctime`: the time so many seconds after 1970 in the form `Thu Jan  1
/// 00:00:00 1970`, always 24 characters, in UTC, without a newline
/// (tapset/linux/ctime.stp).
///
/// # Errors
/// Where the seconds do not fit into 32 bits, as in SystemTap.
pub fn ctime(seconds: i64) -> Result<String, CtimeError> {
    if seconds < i64::from(i32::MIN) {
        return Err(CtimeError::Past);
    }
    if seconds > i64::from(i32::MAX) {
        return Err(CtimeError::Future);
    }
    let days = seconds.div_euclid(SECONDS_A_DAY);
    let second = seconds.rem_euclid(SECONDS_A_DAY);
    let (year, month, day) = date(days);
    // 1970-01-01 was a Thursday.
    let weekday = WEEKDAYS[(days + 4).rem_euclid(7) as usize];
    let month = MONTHS[month];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Ok(format!("{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}"))
}

/// Year, month from 0 and day from 1 of a day, counted from 1970-01-01.
fn date(mut days: i64) -> (i64, usize, i64) {
    let mut year = 1970;
    while days < 0 {
        year -= 1;
        days += days_of(year);
    }
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    let february = days_of(year) - 337;
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month, days + 1)
}

fn days_of(year: i64) -> i64 {
    365 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
}
