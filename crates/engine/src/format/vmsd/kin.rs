//! What a `.vmsd` says besides its snapshots: of a linked clone, on whom it stands; whether disks
//! wait to be merged; and what files are about to be removed.

use super::Vmsd;
use super::read::number;
use crate::format::{Dictionary, LineEnd};

impl Vmsd {
    /// Returns the bookkeeping of a linked clone of the VM whose configuration is at `parent`.
    ///
    /// `sentinels` are the clone's own disk files that hang on the parent's: removing stops there.
    pub fn of_linked_clone(parent: &str, sentinels: &[String], line_end: LineEnd) -> Self {
        let mut vmsd = Self {
            dict: Dictionary::new(line_end),
            snapshots: Vec::new(),
            has_gaps: false,
            bulk: None,
        };
        vmsd.set_clone_of(parent, sentinels);
        vmsd
    }

    /// Returns, for a linked clone, the configuration of the VM that it stands on, as written.
    pub fn clone_of(&self) -> Option<String> {
        self.dict.get_filled("cloneOf0")
    }

    /// Returns, for a linked clone, its own disk files that hang on foreign ones, as written.
    pub fn sentinels(&self) -> Vec<String> {
        let name = |n| self.dict.get_filled(&format!("sentinel{n}"));
        (0..u64::MAX).map_while(name).collect()
    }

    /// Makes it that of a linked clone of the VM whose configuration is at `parent`.
    pub fn set_clone_of(&mut self, parent: &str, sentinels: &[String]) {
        self.dict
            .remove_matching(|name| number_of(name, "cloneof").is_some_and(|number| number > 0));
        self.dict.set("cloneOf0", parent);
        self.dict.set("numCloneOf", "1");
        self.set_sentinels(sentinels);
    }

    /// Names the linked clone's own disk files that hang on foreign ones.
    pub fn set_sentinels(&mut self, sentinels: &[String]) {
        let count = sentinels.len() as u64;
        let beyond = |name: &str| number_of(name, "sentinel").is_some_and(|n| n >= count);
        self.dict.remove_matching(beyond);
        for (number, file_name) in sentinels.iter().enumerate() {
            let name = format!("sentinel{number}");
            self.dict.set_before(&name, file_name, "numSentinels");
        }
        self.dict.set("numSentinels", &count.to_string());
    }

    /// Makes it that of a VM that stands on no other.
    pub fn forget_clone_of(&mut self) {
        self.dict.remove_matching(|name| {
            matches!(name, "numcloneof" | "numsentinels")
                || number_of(name, "cloneof").is_some()
                || number_of(name, "sentinel").is_some()
        });
    }

    /// Tells whether a product left disks behind that are to be merged.
    pub fn needs_consolidation(&self) -> bool {
        let flagged = |name: &&str| name.ends_with(".needconsolidate");
        let mut flags = self.dict.names().filter(flagged);
        flags.any(|name| self.dict.get_bool(name) == Some(true))
    }

    /// Returns the files, as written, that a change of the snapshots gave up and was about to remove.
    ///
    /// The entries are our own. A product that does not know them leaves them out or leaves them alone.
    pub fn leavings(&self) -> Vec<String> {
        let name = |n| self.dict.get_filled(&format!("{LEAVING}{n}"));
        (0..u64::MAX).map_while(name).collect()
    }

    /// Names the files that a change of the snapshots gives up, in place of others.
    pub fn set_leavings(&mut self, names: &[String]) {
        let count = names.len() as u64;
        let beyond = |name: &str| number_of(name, LEAVING).is_some_and(|n| n >= count);
        self.dict.remove_matching(beyond);
        for (number, file_name) in names.iter().enumerate() {
            self.dict.set(&format!("{LEAVING}{number}"), file_name);
        }
    }

    /// Says that no disks wait to be merged.
    pub fn forget_consolidation(&mut self) {
        self.dict
            .remove_matching(|name| name.ends_with(".needconsolidate"));
    }
}

/// What stands before the number of a file that is about to be removed.
const LEAVING: &str = "replix.leaving";

/// The number after `word` in the name of an entry, in lower case.
fn number_of(name: &str, word: &str) -> Option<u64> {
    number(name.strip_prefix(word)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(vmsd: &Vmsd) -> String {
        String::from_utf8(vmsd.to_bytes()).unwrap()
    }

    #[test]
    fn what_is_given_up_is_named_until_it_is_gone() {
        let text = b"snapshot.lastUID = \"3\"\n";
        let mut vmsd = Vmsd::parse(text, LineEnd::Lf).unwrap();
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        vmsd.set_leavings(&names(&["a-000002.vmdk", "a-Snapshot2.vmsn"]));
        let mut vmsd = Vmsd::parse(&vmsd.to_bytes(), LineEnd::Lf).unwrap();
        assert_eq!(vmsd.leavings(), ["a-000002.vmdk", "a-Snapshot2.vmsn"]);
        vmsd.set_leavings(&names(&["b.vmdk"]));
        assert_eq!(vmsd.leavings(), ["b.vmdk"]);
        vmsd.set_leavings(&[]);
        assert_eq!(vmsd.to_bytes(), text);
    }

    #[test]
    fn clone_gets_another_parent_and_then_none() {
        let sentinels = ["a.vmdk".to_string(), "b.vmdk".to_string()];
        let mut vmsd = Vmsd::of_linked_clone("/p/p.vmx", &sentinels, LineEnd::Lf);
        let whole = text(&vmsd);
        vmsd.set_clone_of("/q/q.vmx", &["c.vmdk".into()]);
        assert_eq!(vmsd.clone_of().as_deref(), Some("/q/q.vmx"));
        assert_eq!(vmsd.sentinels(), ["c.vmdk"]);
        vmsd.set_clone_of("/p/p.vmx", &sentinels);
        assert_eq!(text(&vmsd), whole);
        vmsd.forget_clone_of();
        assert_eq!((vmsd.clone_of(), vmsd.sentinels()), (None, Vec::new()));
        assert_eq!(text(&vmsd), ".encoding = \"UTF-8\"\n");
    }

    #[test]
    fn mark_of_disks_that_wait_goes() {
        let text = b"snapshot.needConsolidate = \"TRUE\"\nsnapshot.lastUID = \"3\"\n";
        let mut vmsd = Vmsd::parse(text, LineEnd::Lf).unwrap();
        assert!(vmsd.needs_consolidation());
        vmsd.forget_consolidation();
        assert!(!vmsd.needs_consolidation());
        assert_eq!(vmsd.to_bytes(), b"snapshot.lastUID = \"3\"\n");
    }
}
