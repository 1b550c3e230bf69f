//! Histograms as SystemTap draws them (`_stp_stat_print_histogram_buf` in
//! runtime/stat-common.c).

use std::io::Write;

use super::histogram::Histogram;

/// Columns of the longest bar (SystemTap's `HIST_WIDTH`).
const WIDTH: i64 = 50;
/// Empty rows that stay on either side of others (SystemTap's
/// `HIST_ELISION`).
const ELISION: usize = 2;

/// Draws a histogram with these buckets, nothing where all are empty.
pub(super) fn draw(histogram: Histogram, counts: &[i64], out: &mut Vec<u8>) {
    let Some((first, last)) = rows(histogram, counts) else {
        return;
    };
    let largest = counts.iter().copied().max().unwrap_or(0);
    let scale = (largest / WIDTH + i64::from(largest % WIDTH != 0)).max(1);
    let value_columns = value_columns(histogram, counts.len(), first, last);
    let count_columns = digits(largest);
    line(out, format_args!("{:>value_columns$} |{:-<50} count\n", "value", ""));
    let mut elided = false;
    for index in first..=last {
        let around = first.max(index.saturating_sub(ELISION))..=last.min(index + ELISION);
        if counts[around].iter().all(|count| *count == 0) {
            elided = true;
            continue;
        }
        if elided {
            line(out, format_args!("{:value_columns$} ~\n", ""));
            elided = false;
        }
        let label = label(histogram, counts.len(), index);
        let bar = (counts[index] / scale) as usize;
        let behind = WIDTH as usize - bar + 1 + count_columns;
        line(
            out,
            format_args!(
                "{label:>value_columns$} |{:@<bar$}{:>behind$}\n",
                "", counts[index]
            ),
        );
    }
    out.push(b'\n');
}

/// The first and last row: those with samples, and up to two more on either
/// side; the rows for what is outside a linear histogram only with samples.
fn rows(histogram: Histogram, counts: &[i64]) -> Option<(usize, usize)> {
    let first = counts.iter().position(|count| *count != 0)?;
    let last = counts.iter().rposition(|count| *count != 0)?;
    let mut first = histogram.margin(first);
    let mut last = (last + 2).min(counts.len() - 1);
    if histogram != Histogram::Log {
        first += usize::from(first == 0 && counts[0] == 0);
        last -= usize::from(last == counts.len() - 1 && counts[last] == 0);
    }
    Some((first, last))
}

/// The columns of the values. SystemTap measures a linear histogram's from
/// its start to the end of the last row, whatever is in between.
fn value_columns(
    histogram: Histogram,
    length: usize,
    first: usize,
    last: usize,
) -> usize {
    let (low, high) = match histogram {
        Histogram::Log => (
            digits(histogram.label(length, first)),
            digits(histogram.label(length, last)),
        ),
        Histogram::Linear { low, step, .. } => {
            let end = low.wrapping_add(step.wrapping_mul(last as i64));
            let below = usize::from(first == 0);
            let above = usize::from(last == length - 1);
            (digits(low) + below, digits(end) + above)
        }
    };
    low.max(high).max("value".len())
}

/// What stands beside a row.
fn label(histogram: Histogram, length: usize, index: usize) -> String {
    let value = histogram.label(length, index);
    let outside = match histogram {
        Histogram::Linear { .. } if index == 0 => "<",
        Histogram::Linear { .. } if index == length - 1 => ">",
        _ => "",
    };
    format!("{outside}{value}")
}

fn digits(value: i64) -> usize {
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
    digits + usize::from(value < 0)
}

fn line(out: &mut Vec<u8>, line: std::fmt::Arguments) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(line);
}
