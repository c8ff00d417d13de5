//! Joining sorted runs of samples. Where two have the same timestamp the first run wins.

/// Appends the union of two sorted runs.
pub(crate) fn two(first: (&[i64], &[f64]), second: (&[i64], &[f64]), ts: &mut Vec<i64>, vs: &mut Vec<f64>) {
    let ((ta, va), (tb, vb)) = (first, second);
    ts.reserve(ta.len() + tb.len());
    vs.reserve(ta.len() + tb.len());
    let (mut a, mut b) = (0, 0);
    while a < ta.len() && b < tb.len() {
        if ta[a] <= tb[b] {
            if ta[a] == tb[b] {
                b += 1;
            }
            ts.push(ta[a]);
            vs.push(va[a]);
            a += 1;
        } else {
            ts.push(tb[b]);
            vs.push(vb[b]);
            b += 1;
        }
    }
    ts.extend_from_slice(&ta[a..]);
    vs.extend_from_slice(&va[a..]);
    ts.extend_from_slice(&tb[b..]);
    vs.extend_from_slice(&vb[b..]);
}

/// Adds a run to what is there: appended when it comes after, merged when not. What is there wins.
pub(crate) fn add(ts: &mut Vec<i64>, vs: &mut Vec<f64>, more: (&[i64], &[f64])) {
    match (ts.last(), more.0.first()) {
        (_, None) => {}
        (Some(last), Some(first)) if first <= last => {
            let (old_ts, old_vs) = (std::mem::take(ts), std::mem::take(vs));
            two((&old_ts, &old_vs), more, ts, vs);
        }
        _ => {
            ts.extend_from_slice(more.0);
            vs.extend_from_slice(more.1);
        }
    }
}

/// Cuts what lies outside `start_ms..=end_ms` from the sorted samples that begin at `from`.
pub(crate) fn clip(from: usize, start_ms: i64, end_ms: i64, ts: &mut Vec<i64>, vs: &mut Vec<f64>) {
    let end = from + ts[from..].partition_point(|&t| t <= end_ms);
    ts.truncate(end);
    vs.truncate(end);
    let start = from + ts[from..].partition_point(|&t| t < start_ms);
    if start > from {
        ts.drain(from..start);
        vs.drain(from..start);
    }
}
