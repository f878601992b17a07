//! Many paths at once.

use serde::{Deserialize, Serialize};

/// Paths, as written, one after another in one text: there may be thousands, and to read and to copy them
/// is to be no more work than their text is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Paths {
    text: String,
    /// Where in the text each of them ends.
    ends: Vec<usize>,
}

impl Paths {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns them in their order.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            text: &self.text,
            ends: self.ends.iter(),
            start: 0,
        }
    }

    /// Adds one behind the others.
    pub fn push(&mut self, path: &str) {
        self.text.push_str(path);
        self.ends.push(self.text.len());
    }

    /// Keeps those for which `keep` is true; asks once for each, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        *self = self.iter().filter(|path| keep(path)).collect();
    }
}

/// Iterates over [`Paths`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    text: &'a str,
    ends: std::slice::Iter<'a, usize>,
    start: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let end = *self.ends.next()?;
        let path = self.text.get(self.start..end);
        self.start = end;
        path
    }
}

impl<'a> IntoIterator for &'a Paths {
    type Item = &'a str;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Paths {
    fn from_iter<I: IntoIterator<Item = S>>(all: I) -> Self {
        let mut paths = Self::default();
        all.into_iter().for_each(|path| paths.push(path.as_ref()));
        paths
    }
}

impl From<Vec<String>> for Paths {
    fn from(all: Vec<String>) -> Self {
        all.into_iter().collect()
    }
}

impl From<Paths> for Vec<String> {
    fn from(paths: Paths) -> Self {
        paths.iter().map(String::from).collect()
    }
}

impl<const N: usize> PartialEq<[&str; N]> for Paths {
    fn eq(&self, other: &[&str; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_what_was_put_in() {
        let mut paths: Paths = ["/a", "", "/ä/c"].into_iter().collect();
        paths.push("d");
        assert_eq!(paths, ["/a", "", "/ä/c", "d"]);
        assert_eq!(paths.len(), 4);
        let mut asked = Vec::new();
        paths.retain(|path| {
            asked.push(path.to_owned());
            path != "/a"
        });
        assert_eq!(asked, ["/a", "", "/ä/c", "d"]);
        assert_eq!(paths, ["", "/ä/c", "d"]);
        let text = serde_json::to_string(&paths).unwrap();
        assert_eq!(text, r#"["","/ä/c","d"]"#);
        assert_eq!(serde_json::from_str::<Paths>(&text).unwrap(), paths);
    }
}
