//! Which of a key's stored events have to be read before new ones can be placed among them. Pure.

/// For each of a key's events whether it has to be known: those before, at and after a new one, and the version of each
/// that is hidden. `items` ascend by `start`, the start of their sequence; where several have the same, their order is
/// told only by the whole of it, so they are needed together.
pub(super) fn needed<T>(
    items: &[T],
    start: impl Fn(&T) -> u128,
    new: impl Fn(&T) -> bool,
    shown: impl Fn(&T) -> bool,
) -> Vec<bool> {
    let groups: Vec<&[T]> = items.chunk_by(|a, b| start(a) == start(b)).collect();
    let mut wanted = vec![false; groups.len()];
    for (g, group) in groups.iter().enumerate() {
        if group.iter().any(&new) {
            let last = (g + 1).min(groups.len() - 1);
            wanted[g.saturating_sub(1)..=last].fill(true);
        }
    }
    for g in 0..groups.len() {
        let hides = groups[g].iter().any(|i| !new(i) && !shown(i));
        if wanted[g]
            && hides
            && let Some(next) = (g + 1..groups.len()).find(|n| groups[*n].iter().any(&shown))
        {
            wanted[next] = true;
        }
    }
    groups.iter().zip(wanted).flat_map(|(group, wanted)| std::iter::repeat_n(wanted, group.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(items: &[(u8, &str)]) -> Vec<u8> {
        let found = needed(items, |i| i.0.into(), |i| i.1 == "new", |i| i.1 == "shown");
        items.iter().zip(found).filter(|(_, f)| *f).map(|(i, _)| i.0).collect()
    }

    #[test]
    fn only_the_neighbours_and_their_versions_are_read() {
        assert_eq!(of(&[(1, "shown"), (2, "shown"), (3, "shown"), (4, "new")]), [3, 4]);
        assert_eq!(
            of(&[(1, "shown"), (2, "hidden"), (3, "new"), (4, "hidden"), (5, "hidden"), (6, "shown")]),
            [2, 3, 4, 6]
        );
        assert_eq!(of(&[(1, "hidden"), (2, "new"), (3, "shown"), (4, "shown")]), [1, 2, 3]);
        assert_eq!(of(&[(1, "shown"), (1, "shown"), (2, "shown"), (2, "new"), (3, "shown")]), [1, 1, 2, 2, 3]);
        assert_eq!(of(&[(1, "new")]), [1]);
    }
}
