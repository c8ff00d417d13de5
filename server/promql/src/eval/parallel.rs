//! Work on columns, shared among the threads that a query may use.

/// Cells for which a further thread is started: what takes some ten times as long as starting one.
const CELLS_OF_A_THREAD: usize = 250_000;

/// Applies a function to every item, on at most so many threads; the results are in the order of the items. `cells`
/// says how much work all of it is.
pub(super) fn map<T: Sync, U: Send>(
    items: &[T],
    (threads, cells): (usize, usize),
    f: impl Fn(&T) -> U + Sync,
) -> Vec<U> {
    let threads = threads.min(cells / CELLS_OF_A_THREAD).min(items.len());
    if threads < 2 {
        return items.iter().map(f).collect();
    }
    let part = |items: &[T]| items.iter().map(&f).collect::<Vec<U>>();
    let (first, rest) = items.split_at(items.len().div_ceil(threads));
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            rest.chunks(first.len()).map(|items| scope.spawn(move || part(items))).collect();
        let mut out = part(first);
        for worker in workers {
            // A panic there is a bug, and goes on here.
            out.append(&mut worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items_whatever_the_threads() {
        for items in [0, 1, 2, 7, 100] {
            let items: Vec<usize> = (0..items).collect();
            for threads in 1..5 {
                let doubled = map(&items, (threads, 10 * CELLS_OF_A_THREAD), |i| i * 2);
                assert_eq!(doubled, items.iter().map(|i| i * 2).collect::<Vec<_>>());
            }
        }
    }
}
