//! The table of power: what comes of each operation on a VM in each state.

/// A row: one operation on a VM in one state.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// The VM's state before.
    pub from: &'static str,
    /// What is asked for.
    pub operation: &'static str,
    /// `OK`, or the name of VIX's error without `VIX_E_`.
    pub result: &'static str,
    /// The VM's state after; `gone` where it was deleted.
    pub to: &'static str,
    /// Result and state after where `vmrun` is asked; `None` where it has no such command.
    pub by_vmrun: Option<(&'static str, &'static str)>,
    /// Whether this is what a guest with an agent does.
    pub needs_tools: bool,
}

/// Returns all rows. Those of one state stand together; what ends the VM is the last of them.
pub fn edges() -> Vec<Edge> {
    let lines = include_str!("../power-edges.txt").lines();
    let rows = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(edge).collect()
}

fn edge(line: &'static str) -> Edge {
    let words: Vec<&str> = line.split_whitespace().collect();
    let same = |word: &'static str, as_this: &'static str| match word {
        "=" => as_this,
        other => other,
    };
    assert!(words.len() >= 6, "{line}");
    Edge {
        from: words[0],
        operation: words[1],
        result: words[2],
        to: words[3],
        by_vmrun: (words[4] != "-").then(|| (same(words[4], words[2]), same(words[5], words[3]))),
        needs_tools: words.get(6) == Some(&"needs-tools"),
    }
}

/// Makes a test for each state that a VM can be in, which hands the state's name to `$check`.
#[macro_export]
macro_rules! test_each_state {
    ($check:path) => {
        #[test]
        fn vm_that_is_off() {
            $check("off");
        }

        #[test]
        fn vm_that_runs() {
            $check("on");
        }

        #[test]
        fn vm_that_is_paused() {
            $check("paused");
        }

        #[test]
        fn vm_that_is_suspended() {
            $check("suspended");
        }
    };
}
