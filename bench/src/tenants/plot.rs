//! A plot of the table: one small chart for each thing, all by the number of tenants, which grows to the right by powers.
//!
//! Invariant: readable on white and on black: it sets no background, and its lines take the colour of the text around them.

use std::fmt::Write as _;

use crate::tenants::{Mark, Marks, shown};

const CHARTS: [(&str, &[Mark]); 8] = [
    ("start to ready (ms)", &[Mark::Ready]),
    ("memory (MB)", &[Mark::IdleMemory, Mark::ActiveMemory, Mark::CrawledMemory]),
    ("create a tenant (ms)", &[Mark::CreateP50, Mark::CreateP99]),
    ("list, search: p99 (ms)", &[Mark::ListP99, Mark::SearchP99]),
    ("first JWKS (ms)", &[Mark::ColdJwksP50, Mark::ColdJwksP99]),
    ("first refresh (ms)", &[Mark::ColdRefreshP50, Mark::ColdRefreshP99]),
    ("JWKS (1/s)", &[Mark::JwksZipf, Mark::JwksUniform]),
    ("refresh (1/s)", &[Mark::RefreshZipf, Mark::RefreshUniform]),
];
/// Readable on white and on black: blue, orange, green of middle lightness.
const COLOURS: [&str; 3] = ["#3b82f6", "#e8720c", "#16a34a"];
const ACROSS: usize = 2;
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 200.0;
/// Of a chart's inside: left, top, right, bottom.
const INSIDE: (f64, f64, f64, f64) = (56.0, 44.0, 380.0, 160.0);

/// Draws all sizes.
pub(super) fn svg(all: &[(usize, Marks)]) -> String {
    let rows = CHARTS.len().div_ceil(ACROSS);
    let (width, height) = (WIDTH * ACROSS as f64, HEIGHT * rows as f64);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"currentColor\" color=\"#404040\">\n\
         <style>@media (prefers-color-scheme: dark) {{ svg {{ color: #d4d4d4 }} }}</style>\n\
         <title>What tenants cost, by their number</title>\n"
    );
    for (at, (title, marks)) in CHARTS.iter().enumerate() {
        let (x, y) = ((at % ACROSS) as f64 * WIDTH, (at / ACROSS) as f64 * HEIGHT);
        let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        chart(&mut out, title, marks, all);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn chart(out: &mut String, title: &str, marks: &[Mark], all: &[(usize, Marks)]) {
    let (left, top, right, bottom) = INSIDE;
    let _ = writeln!(out, "<text x=\"{left}\" y=\"16\" font-size=\"13\" font-weight=\"600\">{title}</text>");
    let most = all.iter().flat_map(|(_, found)| marks.iter().filter_map(|mark| found.get(mark))).fold(0.0, |a: f64, b| a.max(*b));
    let top_value = nice(most);
    let logs: Vec<_> = all.iter().map(|(size, _)| (*size as f64).log10()).collect();
    let (first, last) = (logs.first().copied().unwrap_or(0.0), logs.last().copied().unwrap_or(1.0));
    let x = |log: f64| if last > first { left + (log - first) / (last - first) * (right - left) } else { f64::midpoint(left, right) };
    let y = |value: f64| bottom - value / top_value * (bottom - top);
    for step in 0..=4 {
        let value = top_value * f64::from(step) / 4.0;
        let at = y(value);
        let _ = writeln!(out, "<path d=\"M{left} {at:.1}H{right}\" stroke=\"currentColor\" stroke-opacity=\"0.2\"/>");
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", left - 6.0, at + 4.0, tick(value));
    }
    for ((size, _), log) in all.iter().zip(&logs) {
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{size}</text>", x(*log), bottom + 16.0);
    }
    for (line, (mark, colour)) in marks.iter().zip(COLOURS).enumerate() {
        let points: Vec<_> =
            all.iter().zip(&logs).filter_map(|((_, found), log)| Some((x(*log), y(*found.get(mark)?), found[mark]))).collect();
        let path: Vec<_> = points.iter().map(|(x, y, _)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join(" "));
        for (x, y, value) in points {
            let title = shown(*mark, value);
            let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"><title>{title}</title></circle>");
        }
        if marks.len() > 1 {
            let legend = left + 112.0 * line as f64;
            let _ = writeln!(out, "<rect x=\"{legend}\" y=\"25\" width=\"10\" height=\"3\" fill=\"{colour}\"/>");
            let _ = writeln!(out, "<text x=\"{}\" y=\"31\">{}</text>", legend + 14.0, legend_of(*mark));
        }
    }
}

/// What tells it from its neighbours in the chart.
const fn legend_of(mark: Mark) -> &'static str {
    match mark {
        Mark::IdleMemory => "idle",
        Mark::ActiveMemory => "sessions active",
        Mark::CrawledMemory => "after a crawl",
        Mark::ListP99 => "list",
        Mark::SearchP99 => "search",
        Mark::CreateP50 | Mark::ColdJwksP50 | Mark::ColdRefreshP50 => "p50",
        Mark::CreateP99 | Mark::ColdJwksP99 | Mark::ColdRefreshP99 => "p99",
        Mark::JwksZipf | Mark::RefreshZipf => "Zipf",
        Mark::JwksUniform | Mark::RefreshUniform => "uniform",
        other => other.what(),
    }
}

/// The next of 1, 2, 4, 6, 8 and 10 times a power of ten.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= value).unwrap_or(10.0 * power)
}

fn tick(value: f64) -> String {
    if value >= 10_000.0 {
        format!("{:.0}k", value / 1_000.0)
    } else if value >= 10.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_of_a_chart_is_a_round_number_above_all_values() {
        for (value, top) in [(0.0, 1.0), (1.0, 1.0), (1.1, 2.0), (37.0, 40.0), (41.0, 60.0), (900.0, 1_000.0), (18_000.0, 20_000.0)] {
            assert!((nice(value) - top).abs() < 1e-9 * top, "{value}: {}", nice(value));
        }
    }

    #[test]
    fn every_number_of_a_chart_lies_inside_of_it_and_sizes_lie_by_their_powers() {
        let marks = |ready| Marks::from([(Mark::Ready, ready)]);
        let text = svg(&[(10, marks(40.0)), (1_000, marks(38.0)), (100_000, marks(52.0))]);
        assert!(text.contains("points=\"56.0,82.7 218.0,86.5 380.0,59.5\""), "{text}");
        assert_eq!(text.matches("<g ").count(), CHARTS.len());
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
