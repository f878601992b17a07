//! The numbers of VIX and what they mean: error codes, properties, options, states.
//!
//! `constants.tsv` holds them, each with the header it is from; the build script turns it into the
//! constants and tables here. A constant has the type that the C API gives it: an error code is a
//! `u64`, an `HRESULT` a `u32`, all others are `i32`.

/// One error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRow {
    /// The code, below 65536.
    pub code: u64,
    /// Its name in `vix.h`.
    pub name: &'static str,
    /// What it means, for a person: a sentence without its period, unlike that of any other code.
    pub text: &'static str,
}

/// One property that an object can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertyRow {
    /// Number of the property, `VIX_PROPERTY_*`.
    pub id: i32,
    /// Its name in `vix.h`.
    pub name: &'static str,
    /// The kinds of objects that have it.
    pub carriers: &'static [Carrier],
    /// Type of its value.
    pub kind: PropertyType,
}

/// One constant of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The enumeration that it belongs to, such as `error` or `power_state`.
    pub group: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: i64,
    /// Whether `vix.h` has it.
    pub in_c: bool,
    /// Whether the COM type library has it.
    pub in_com: bool,
}

/// A kind of object that has properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A connection to a host.
    Host,
    /// A virtual machine.
    Vm,
    /// A job, of the kind that yields the property.
    Job,
    /// A snapshot.
    Snapshot,
    /// A property list that a client passes in.
    List,
    /// What an event tells, a property list that the library passes out.
    Event,
}

/// The type of a property's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropertyType {
    /// `int`.
    Integer,
    /// UTF-8 text.
    String,
    /// `Bool`.
    Bool,
    /// `VixHandle`.
    Handle,
    /// `int64`.
    Int64,
    /// A block of bytes.
    Blob,
}

impl PropertyType {
    /// Returns the number of the type, `VIX_PROPERTYTYPE_*`.
    pub fn number(self) -> i32 {
        match self {
            Self::Integer => VIX_PROPERTYTYPE_INTEGER,
            Self::String => VIX_PROPERTYTYPE_STRING,
            Self::Bool => VIX_PROPERTYTYPE_BOOL,
            Self::Handle => VIX_PROPERTYTYPE_HANDLE,
            Self::Int64 => VIX_PROPERTYTYPE_INT64,
            Self::Blob => VIX_PROPERTYTYPE_BLOB,
        }
    }
}

include!(concat!(env!("OUT_DIR"), "/constants.rs"));

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_constants_share_a_name() {
        let names: HashSet<_> = ALL.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn every_error_has_its_own_code_and_text() {
        assert!(ERRORS.is_sorted_by(|a, b| a.code < b.code));
        let texts: HashSet<_> = ERRORS.iter().map(|row| row.text).collect();
        assert_eq!(texts.len(), ERRORS.len());
        for row in ERRORS {
            assert!(
                (8..=80).contains(&row.text.len()),
                "{}: {}",
                row.name,
                row.text
            );
        }
    }

    #[test]
    fn the_tables_hold_what_the_list_of_all_holds() {
        let of = |group| ALL.iter().filter(move |row| row.group == group);
        for row in of("error") {
            let found = ERRORS.iter().find(|error| error.name == row.name);
            assert_eq!(
                found.map(|error| error.code),
                u64::try_from(row.value).ok(),
                "{}",
                row.name
            );
        }
        assert_eq!(of("error").count(), ERRORS.len());
        for row in of("property_id").filter(|row| row.value != 0) {
            let found = PROPERTIES.iter().find(|property| property.name == row.name);
            assert_eq!(
                found.map(|property| i64::from(property.id)),
                Some(row.value),
                "{}",
                row.name
            );
        }
        assert_eq!(of("property_id").count(), PROPERTIES.len() + 1);
    }

    /// Numbers of `vix.h` that clients are compiled with, typed here by hand.
    #[test]
    fn known_numbers_are_right() {
        assert_eq!(VIX_INVALID_HANDLE, 0_i32);
        assert_eq!(VIX_OK, 0_u64);
        assert_eq!(
            (VIX_E_FAIL, VIX_E_INVALID_HANDLE, VIX_E_VM_IS_RUNNING),
            (1, 1000, 3007)
        );
        assert_eq!(
            (VIX_E_SNAPSHOT_NONUNIQUE_NAME, VIX_E_NET_HTTP_GENERIC),
            (13017, 30202)
        );
        assert_eq!(
            (
                VIX_PROPERTY_JOB_RESULT_HANDLE,
                VIX_PROPERTY_FOUND_ITEM_LOCATION
            ),
            (3010, 4010)
        );
        assert_eq!((VIX_API_VERSION, VIX_EVENTTYPE_JOB_COMPLETED), (-1, 2));
        assert_eq!(
            VIX_EVENTTYPE_CALLBACK_SIGNALLED,
            VIX_EVENTTYPE_JOB_COMPLETED
        );
        assert_eq!((VIX_CLONETYPE_FULL, VIX_CLONETYPE_LINKED), (0, 1));
        assert_eq!(VIXCOM_E_VIX_ERROR.cast_signed(), -2_147_220_992);
    }

    #[test]
    fn an_item_found_is_told_by_event_and_by_job() {
        let found = PROPERTIES
            .iter()
            .find(|row| row.id == VIX_PROPERTY_FOUND_ITEM_LOCATION);
        let found = found.unwrap();
        assert_eq!(found.carriers, [Carrier::Event, Carrier::Job]);
        assert_eq!(found.kind.number(), VIX_PROPERTYTYPE_STRING);
    }

    #[test]
    fn names_tell_the_family() {
        for row in ERRORS
            .iter()
            .filter(|row| row.code != VIX_OK && row.code != VIX_ASYNC)
        {
            assert!(row.name.starts_with("VIX_E_"), "{}", row.name);
        }
        for row in PROPERTIES {
            assert!(row.name.starts_with("VIX_PROPERTY_"), "{}", row.name);
            assert!(!row.carriers.is_empty(), "{}", row.name);
        }
    }
}
