//! A fresh descriptor, as VMware writes it today.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::descriptor::check_quotable;
use super::{CreateType, MAX_HINT_BYTES, NO_PARENT};
use crate::format::{Malformed, Place};

/// A descriptor to be written.
#[derive(Clone, Debug)]
pub struct NewDescriptor<'a> {
    /// Create type.
    pub create_type: CreateType,
    /// Content id.
    pub cid: u32,
    /// For a child: the text that names the parent, and the parent's content id.
    pub parent: Option<(&'a str, u32)>,
    /// Extents in order.
    pub extents: Vec<NewExtent>,
    /// Disk data base: full keys (`ddb.uuid`) and values.
    pub ddb: BTreeMap<String, String>,
}

/// An extent of a [`NewDescriptor`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewExtent {
    /// Length in sectors.
    pub sectors: u64,
    /// File name, without a folder.
    pub file: String,
}

impl NewDescriptor<'_> {
    /// Returns the text: UTF-8, lines ended by LF, in the order that every known reader takes.
    ///
    /// # Errors
    /// A name that cannot stand in a descriptor.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Malformed> {
        let mut text = String::from("# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\n");
        let parent_cid = self.parent.map_or(NO_PARENT, |(_, cid)| cid);
        // QEMU wants CID before parentCID, on adjacent lines, without blanks.
        line(&mut text, format_args!("CID={:08x}", self.cid));
        line(&mut text, format_args!("parentCID={parent_cid:08x}"));
        line(
            &mut text,
            format_args!("createType=\"{}\"", self.create_type.word()),
        );
        match self.parent {
            Some((hint, _)) => {
                check_hint(hint)?;
                line(&mut text, format_args!("parentFileNameHint=\"{hint}\""));
            }
            None => text.push('\n'),
        }
        text.push_str("# Extent description\n");
        for extent in &self.extents {
            text.push_str(&extent.line(self.create_type)?);
        }
        // VMware's own title ends in a blank.
        text.push_str("\n# The Disk Data Base \n#DDB\n\n");
        for (key, value) in &self.ddb {
            check_quotable(value)?;
            line(&mut text, format_args!("{key} = \"{value}\""));
        }
        Ok(text.into_bytes())
    }
}

impl NewExtent {
    /// Returns its line in the descriptor of a disk of type `create_type`.
    ///
    /// # Errors
    /// A name that cannot stand in a descriptor.
    pub fn line(&self, create_type: CreateType) -> Result<String, Malformed> {
        check_quotable(&self.file)?;
        let Self { sectors, file } = self;
        Ok(match create_type {
            kind if kind.is_sparse() => format!("RW {sectors} SPARSE \"{file}\"\n"),
            CreateType::Vmfs => format!("RW {sectors} VMFS \"{file}\"\n"),
            _ => format!("RW {sectors} FLAT \"{file}\" 0\n"),
        })
    }
}

/// Refuses a parent hint that a known reader could not take.
pub(super) fn check_hint(hint: &str) -> Result<(), Malformed> {
    check_quotable(hint)?;
    if hint.len() > MAX_HINT_BYTES {
        let what = format!(
            "the path of the parent has {} bytes, more than the {MAX_HINT_BYTES} that fit",
            hint.len()
        );
        return Err(Malformed::new(Place::Whole, what));
    }
    Ok(())
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::super::Descriptor;
    use super::*;

    fn sample(parent: Option<(&str, u32)>) -> NewDescriptor<'_> {
        NewDescriptor {
            create_type: CreateType::SplitSparse,
            cid: 0x0000_beef,
            parent,
            extents: vec![NewExtent {
                sectors: 4096,
                file: "a-s001.vmdk".into(),
            }],
            ddb: BTreeMap::from([("ddb.adapterType".into(), "lsilogic".into())]),
        }
    }

    #[test]
    fn base_reads_as_vmware_writes_it() {
        let text = String::from_utf8(sample(None).to_bytes().unwrap()).unwrap();
        assert_eq!(
            text,
            "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=0000beef\n\
             parentCID=ffffffff\ncreateType=\"twoGbMaxExtentSparse\"\n\n# Extent description\n\
             RW 4096 SPARSE \"a-s001.vmdk\"\n\n# The Disk Data Base \n#DDB\n\n\
             ddb.adapterType = \"lsilogic\"\n"
        );
    }

    #[test]
    fn child_names_its_parent_without_a_blank_line() {
        let text = String::from_utf8(sample(Some(("p.vmdk", 7))).to_bytes().unwrap()).unwrap();
        assert!(text.contains("parentFileNameHint=\"p.vmdk\"\n# Extent description\n"));
        let disk = Descriptor::parse(text.as_bytes()).unwrap();
        assert_eq!((disk.cid(), disk.parent_cid()), (0xbeef, 7));
        assert_eq!(disk.extents().unwrap()[0].sectors, 4096);
    }

    #[test]
    fn hint_that_no_reader_takes_is_refused() {
        let long = "x".repeat(1024);
        assert!(sample(Some((&long, 1))).to_bytes().is_err());
        assert!(sample(Some(("a\"b", 1))).to_bytes().is_err());
    }
}
