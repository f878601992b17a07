//! What people read: sizes, times, counts, aligned columns.

use std::fmt::Write as _;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

/// Reads an amount as people write it, `850MB`, `20g`, in bytes; a number alone counts `plain`
/// bytes each.
pub(crate) fn parse_size(text: &str, plain: u64) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" => plain,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// Returns a size in binary units: `512 B`, `3.4 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would round to 1024 belongs to the next unit.
    while amount >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{} {}", short(amount), UNITS[unit])
}

/// At most one digit behind the point.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_string()
}

/// Returns a duration for a person: `40 ms`, `0.3 s`, `12 s`, `2 min 5 s`, `3 h 20 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.as_millis() < 100 => format!("{} ms", duration.as_millis()),
        0..10 => format!("{} s", short(duration.as_secs_f64())),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Returns a moment, given in microseconds since 1970: `2026-11-20 14:03 UTC`.
pub(crate) fn moment(us: i64) -> String {
    const MINUTES_A_DAY: i64 = 24 * 60;
    let minutes = us.div_euclid(60_000_000);
    let (year, month, day) = civil(minutes.div_euclid(MINUTES_A_DAY));
    let minute = minutes.rem_euclid(MINUTES_A_DAY);
    let (hour, minute) = (minute / 60, minute % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Returns year, month and day of a day counted from 1970-01-01.
///
/// The year is taken to begin in March, so that the leap day is its last.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    const FROM_YEAR_ZERO: i64 = 719_468;
    let days = days + FROM_YEAR_ZERO;
    let (era, day) = (
        days.div_euclid(DAYS_IN_400_YEARS),
        days.rem_euclid(DAYS_IN_400_YEARS),
    );
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, turned) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + turned, month, day_of_month)
}

/// Returns a count with its noun: `1 disk`, `2 disks`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Aligns the cells of a column at their right end.
pub(crate) fn right(rows: &mut [Vec<String>], column: usize) {
    let mut cells: Vec<&mut String> = rows
        .iter_mut()
        .filter_map(|row| row.get_mut(column))
        .collect();
    let width = cells.iter().map(|cell| cell.width()).max().unwrap_or(0);
    for cell in &mut cells {
        cell.insert_str(0, &" ".repeat(width - cell.width()));
    }
}

/// Returns rows with their columns aligned, two blanks apart, each row after `indent` blanks.
pub(crate) fn columns(indent: usize, rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.width() + 2));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("20g", Some(20 << 30)),
            ("850MB", Some(850 << 20)),
            ("1TiB", Some(1 << 40)),
            ("3", Some(1536)),
            ("99999999999T", None),
            ("1PB", None),
            ("M", None),
            ("-1M", None),
            ("", None),
        ] {
            assert_eq!(parse_size(text, 512), bytes, "{text}");
        }
    }

    #[test]
    fn sizes_are_short_and_binary() {
        let sizes = [
            0,
            1023,
            1024,
            1536,
            40 << 30,
            (1 << 20) - 1,
            (1 << 40) + (1 << 39),
        ];
        let texts: Vec<String> = sizes.into_iter().map(size).collect();
        assert_eq!(
            texts,
            [
                "0 B", "1023 B", "1 KiB", "1.5 KiB", "40 GiB", "1 MiB", "1.5 TiB"
            ]
        );
        assert_eq!(size(u64::MAX), "16 EiB");
    }

    #[test]
    fn durations_fit_their_length() {
        let texts: Vec<String> = [40, 300, 9_000, 12_000, 125_000, 12_000_000]
            .into_iter()
            .map(|ms| duration(Duration::from_millis(ms)))
            .collect();
        assert_eq!(
            texts,
            ["40 ms", "0.3 s", "9 s", "12 s", "2 min 5 s", "3 h 20 min"]
        );
    }

    #[test]
    fn moments_are_calendar_dates() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(-1), "1969-12-31 23:59 UTC");
        assert_eq!(moment(951_782_400_000_000), "2000-02-29 00:00 UTC");
        assert_eq!(moment(1_795_422_180_000_000), "2026-11-23 08:23 UTC");
        assert_eq!(moment(4_102_444_800_000_000), "2100-01-01 00:00 UTC");
    }

    #[test]
    fn columns_align_wide_characters() {
        let rows = [
            vec!["虚拟".to_string(), "x".to_string()],
            vec!["a".to_string(), "y".to_string()],
        ];
        assert_eq!(columns(1, &rows), " 虚拟  x\n a     y\n");
    }
}
