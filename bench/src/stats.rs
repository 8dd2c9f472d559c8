//! The few sums that the tables need.

/// The middle value; between two middle ones, their mean. `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(sorted[middle - 1], upper)) }
}

/// `ours` as a part of `beside`. `None` when there is nothing to divide by.
pub(crate) fn ratio(ours: f64, beside: f64) -> Option<f64> {
    let ratio = ours / beside;
    (beside > 0.0 && ratio.is_finite()).then_some(ratio)
}

/// The smallest value that at least `share` (0 to 1) of all values do not exceed. `None` of nothing. Sorts `values`.
pub(crate) fn percentile(values: &mut [u32], share: f64) -> Option<u32> {
    values.sort_unstable();
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[4.0]), Some(4.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[10.0, 1.0, 2.0, 4.0]), Some(3.0));
        assert_eq!(median(&[1.0, 1_000_000.0, 2.0]), Some(2.0), "one wild window does not move it");
    }

    #[test]
    fn a_ratio_needs_something_to_divide_by() {
        assert_eq!(ratio(17.0, 20.0), Some(0.85));
        assert_eq!(ratio(30.0, 20.0), Some(1.5));
        for beside in [0.0, -1.0, f64::NAN, f64::INFINITY * 0.0] {
            assert_eq!(ratio(1.0, beside), None, "{beside}");
        }
        assert_eq!(ratio(f64::INFINITY, 2.0), None);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        assert_eq!(percentile(&mut [], 0.5), None);
        let mut hundred: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(percentile(&mut hundred, 0.5), Some(50));
        assert_eq!(percentile(&mut hundred, 0.99), Some(99));
        assert_eq!(percentile(&mut hundred, 1.0), Some(100));
        assert_eq!(percentile(&mut [7, 3], 0.0), Some(3));
    }
}
