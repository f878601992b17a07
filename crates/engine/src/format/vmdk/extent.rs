//! The lines of a descriptor that name the extents.

/// How an extent holds its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtentKind {
    /// Raw bytes from an offset, in sectors.
    Flat(u64),
    /// A hosted sparse extent.
    Sparse,
    /// A sparse extent of older ESXi snapshots.
    VmfsSparse,
    /// A sparse extent of today's ESXi snapshots.
    SeSparse,
    /// No file: it reads as zeros.
    Zero,
    /// Anything else, by its word.
    Other(String),
}

/// What a guest may do with an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentAccess {
    /// Read and write it.
    Full,
    /// Read it.
    ReadOnly,
    /// Nothing: it stands for a stretch that reads as zeros.
    None,
}

/// A line of the extent section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtentLine {
    /// Number of the line, from 1.
    pub line: usize,
    /// What the line lets the guest do with the extent.
    pub access: ExtentAccess,
    /// Length in sectors.
    pub sectors: u64,
    /// How the data is held.
    pub kind: ExtentKind,
    /// The file as written; `None` for extents without one.
    pub file: Option<String>,
}

impl ExtentLine {
    /// Reads `ACCESS SECTORS TYPE "FILE" OFFSET`; `None` where it makes no sense.
    pub(super) fn parse(text: &str, line: usize) -> Option<Self> {
        let mut outside = text.splitn(3, '"');
        let mut words = outside.next()?.split_ascii_whitespace();
        let access = match words.next()?.to_ascii_uppercase().as_str() {
            "RW" => ExtentAccess::Full,
            "RDONLY" => ExtentAccess::ReadOnly,
            _ => ExtentAccess::None,
        };
        let sectors = words.next()?.parse().ok()?;
        let word = words.next()?.to_ascii_uppercase();
        let file = outside.next().map(str::to_owned);
        let offset = outside
            .next()
            .unwrap_or_default()
            .split_ascii_whitespace()
            .next();
        let kind = match word.as_str() {
            "FLAT" | "VMFS" => ExtentKind::Flat(offset.map_or(Ok(0), str::parse).ok()?),
            "SPARSE" => ExtentKind::Sparse,
            "VMFSSPARSE" => ExtentKind::VmfsSparse,
            "SESPARSE" => ExtentKind::SeSparse,
            "ZERO" => ExtentKind::Zero,
            _ => ExtentKind::Other(word),
        };
        Some(Self {
            line,
            access,
            sectors,
            kind,
            file,
        })
    }
}

/// Tells whether a line, blanks before it removed, begins with an access word.
pub(super) fn is_extent(line: &[u8]) -> bool {
    let word = line
        .split(|byte| *byte == b' ' || *byte == b'\t')
        .next()
        .unwrap_or_default();
    [&b"RW"[..], b"RDONLY", b"NOACCESS"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let extent = ExtentLine::parse("RW 4192256 FLAT \"a (1)-f001.vmdk\" 63", 9).unwrap();
        assert_eq!((extent.line, extent.sectors), (9, 4_192_256));
        assert_eq!(extent.kind, ExtentKind::Flat(63));
        assert_eq!(extent.file.as_deref(), Some("a (1)-f001.vmdk"));
        let device = ExtentLine::parse("RW 63 VMFSRDM \"x-rdm.vmdk\"", 1).unwrap();
        assert_eq!(device.kind, ExtentKind::Other("VMFSRDM".into()));
        assert_eq!(ExtentLine::parse("RW many FLAT \"x\" 0", 1), None);
        assert_eq!(ExtentLine::parse("RW 1 FLAT \"x\" -1", 1), None);
    }

    #[test]
    fn only_access_words_begin_an_extent() {
        assert!(is_extent(b"rdonly 1 ZERO"));
        assert!(!is_extent(b"RWX=1"));
        assert!(!is_extent(b""));
    }
}
