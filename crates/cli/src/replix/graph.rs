//! Snapshots and clones drawn as a graph: what follows on each other stands in one column, however
//! long the line is; only what branches off is indented.

/// How one thing is drawn.
pub(super) struct Shape<T> {
    /// What stands before its name; a thing without a mark is no part of a line.
    pub(super) mark: Option<char>,
    /// What branches off, from top to bottom.
    pub(super) branches: Vec<T>,
    /// What follows on it, in the same column.
    pub(super) next: Option<T>,
}

/// Returns `first` and all that hangs on it, each with what is drawn before its name.
pub(super) fn draw<T: Copy>(first: T, shape: impl Fn(T) -> Shape<T>) -> Vec<(String, T)> {
    let mut drawn = Vec::new();
    // What is still to be drawn, the next one last: a thing, what stands before it, and what stands
    // before all below it. A line may be longer than a stack of calls should be.
    let mut open = vec![(first, String::new(), String::new())];
    while let Some((thing, lead, column)) = open.pop() {
        let Shape {
            mark,
            branches,
            next,
        } = shape(thing);
        let mark = mark.map_or(String::new(), |mark| format!("{mark} "));
        drawn.push((lead + &mark, thing));
        let ends = next.is_none();
        open.extend(next.map(|next| (next, column.clone(), column.clone())));
        for (index, branch) in branches.iter().enumerate().rev() {
            let is_last = ends && index + 1 == branches.len();
            let (corner, line) = if is_last {
                ("└─", "  ")
            } else {
                ("├─", "│ ")
            };
            // A name alone stands clear of the line; what has a mark is on a line of its own.
            let (dash, gap) = match shape(*branch).mark {
                Some(_) => ("", ""),
                None => ("─ ", "  "),
            };
            open.push((
                *branch,
                format!("{column}{corner}{dash}"),
                format!("{column}{line}{gap}"),
            ));
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters; each row is a thing, its branches and what follows.
    fn drawn(rows: &[(char, &str, Option<char>)]) -> String {
        let shape = |thing: char| {
            let row = rows.iter().find(|row| row.0 == thing);
            Shape {
                mark: thing.is_lowercase().then_some('●'),
                branches: row.map_or(Vec::new(), |row| row.1.chars().collect()),
                next: row.and_then(|row| row.2),
            }
        };
        let lines = draw(rows[0].0, shape);
        let lines = lines.iter().map(|(lead, thing)| format!("{lead}{thing}\n"));
        lines.collect()
    }

    #[test]
    fn line_stays_in_its_column() {
        let rows = [('A', "", Some('b')), ('b', "", Some('c')), ('c', "", None)];
        assert_eq!(drawn(&rows), "A\n● b\n● c\n");
    }

    #[test]
    fn branches_are_indented() {
        let rows = [
            ('A', "", Some('b')),
            ('b', "Cd", Some('g')),
            ('C', "", Some('h')),
            ('h', "I", None),
            ('d', "", Some('e')),
            ('e', "F", None),
            ('g', "JK", None),
        ];
        insta::assert_snapshot!(drawn(&rows), @"
        A
        ● b
        ├── C
        │   ● h
        │   └── I
        ├─● d
        │ ● e
        │ └── F
        ● g
        ├── J
        └── K
        ");
    }
}
