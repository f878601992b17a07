//! What `crates/vix-com` says three times, and its numbers: `VixCOM.idl`, `VixCOM.h` and the Rust
//! interfaces agree with each other, and with the constants here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use vix::constants::{ALL, VIXCOM_E_VIX_ERROR};

/// An interface, whatever language it was read from.
#[derive(Debug, PartialEq)]
struct Interface {
    name: String,
    iid: String,
    base: String,
    methods: Vec<Method>,
}

#[derive(Debug, PartialEq)]
struct Method {
    name: String,
    /// Type and name of each parameter.
    parameters: Vec<(String, String)>,
}

/// C's types, and what stands for them in Rust.
const TYPES: &[(&str, &str)] = &[
    ("SHORT*", "Out<i16>"),
    ("LONG", "i32"),
    ("LONG*", "Out<i32>"),
    ("ULONGLONG", "u64"),
    ("ULONGLONG*", "Out<u64>"),
    ("VARIANT_BOOL", "VARIANT_BOOL"),
    ("VARIANT_BOOL*", "Out<VARIANT_BOOL>"),
    ("BSTR", "InText"),
    ("BSTR*", "Out<BSTR>"),
    ("VARIANT", "InVariant"),
    ("VARIANT*", "Results"),
    ("ICallback*", "In<ICallback>"),
    ("IVixHandle*", "In<IVixHandle>"),
    ("IJob*", "In<IJob>"),
    ("IJob**", "OutObject<IJob>"),
    ("ISnapshot*", "In<ISnapshot>"),
    ("ISnapshot**", "OutObject<ISnapshot>"),
];

/// Where methods stand in the tables that clients are compiled against; source: VixCOM.h 1.8.
const SLOTS: &[(&str, &str, usize)] = &[
    ("IVixLib", "ErrorIndicatesFailure", 11),
    ("IVixHandle", "Equals", 10),
    ("IVixHandle2", "Close", 11),
    ("ICallback", "OnVixEvent", 7),
    ("IJob", "GetNthProperties", 12),
    ("ISnapshot", "GetParent", 9),
    ("IHost", "PumpEvents", 12),
    ("IHost2", "OpenVMEx", 13),
    ("IVM", "OpenUrlInGuest", 19),
    ("IVM", "InstallTools", 46),
    ("IVM2", "Clone", 49),
    ("IVM2", "CaptureScreenImage", 55),
];

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../vix-com")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns C's text without comments, and with single blanks.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for piece in text.split("/*") {
        plain += piece.split_once("*/").map_or(piece, |(_, after)| after);
        plain.push(' ');
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns what stands between two marks, and what follows.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end)
}

/// Splits parameters at their commas, but for those of attributes.
fn parameters(list: &str) -> Vec<String> {
    let (mut all, mut depth) = (vec![String::new()], 0_i32);
    for c in list.chars() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        match c {
            ',' if depth == 0 => all.push(String::new()),
            _ => all.last_mut().unwrap().push(c),
        }
    }
    all.retain(|parameter| !parameter.trim().is_empty());
    all
}

/// Reads a parameter of C: its type without blanks, and its name.
fn c_parameter(text: &str) -> (String, String) {
    let text = text.trim();
    let text = text
        .rsplit_once(']')
        .map_or(text, |(_, after)| after)
        .trim();
    let at = text.rfind([' ', '*']).unwrap() + 1;
    (text[..at].replace(' ', ""), text[at..].to_owned())
}

fn c_methods<'a>(body: &'a str, before: &'a str) -> impl Iterator<Item = (&'a str, Method)> {
    body.split(';').filter_map(move |line| {
        let (attributes, rest) = line.split_once(before)?;
        let (name, rest) = rest.split_once('(')?;
        let list = rest.rsplit_once(')')?.0;
        let parameters = parameters(list)
            .iter()
            .map(|text| c_parameter(text))
            .collect();
        Some((
            attributes,
            Method {
                name: name.to_owned(),
                parameters,
            },
        ))
    })
}

/// Reads `VixCOM.idl`; beside each interface, the numbers of its methods.
fn idl() -> Vec<(Interface, Vec<i32>)> {
    let text = plain(&text("VixCOM.idl"));
    let (mut rest, mut all) = (&text[..], Vec::new());
    while let Some((iid, after)) = between(
        rest,
        "[object, uuid(",
        "), dual, oleautomation, nonextensible] interface ",
    ) {
        let (head, after) = after.split_once(" { ").unwrap();
        let (body, after) = after.split_once('}').unwrap();
        let (name, base) = head.split_once(" : ").unwrap();
        let number = |of: &str| between(of, "[id(", ")").unwrap().0.parse::<i32>().unwrap();
        let methods = c_methods(body, "HRESULT ").map(|(id, method)| (number(id), method));
        let (ids, methods) = methods.unzip();
        all.push((interface(name, iid, base, methods), ids));
        rest = after;
    }
    all
}

fn interface(name: &str, iid: &str, base: &str, methods: Vec<Method>) -> Interface {
    let (name, iid, base) = (name.to_owned(), iid.to_lowercase(), base.to_owned());
    Interface {
        name,
        iid,
        base,
        methods,
    }
}

fn header() -> Vec<Interface> {
    let text = plain(&text("include/VixCOM.h"));
    let (mut rest, mut all) = (&text[..], Vec::new());
    while let Some((iid, after)) = between(rest, "MIDL_INTERFACE(\"", "\") ") {
        let (head, after) = after.split_once(" { ").unwrap();
        let (body, after) = after.split_once(" };").unwrap();
        let (name, base) = head.split_once(" : public ").unwrap();
        let body = body.replace(" = 0;", ";");
        let methods = c_methods(&body, "virtual HRESULT STDMETHODCALLTYPE ");
        all.push(interface(
            name,
            iid,
            base,
            methods.map(|(_, method)| method).collect(),
        ));
        rest = after;
    }
    all
}

/// Reads the Rust interfaces; the names of parameters are Rust's own there.
fn rust() -> Vec<Interface> {
    let text = text("src/interfaces.rs");
    let text: String = text
        .lines()
        .map(|line| line.trim().to_owned() + " ")
        .collect();
    let (mut rest, mut all) = (&text[..], Vec::new());
    while let Some((iid, after)) = between(rest, "#[interface(\"", "\")] pub unsafe trait ") {
        let (head, after) = after.split_once(" { ").unwrap();
        let (body, after) = after.split_once('}').unwrap();
        let (name, base) = head.split_once(": ").unwrap();
        all.push(interface(
            name,
            iid,
            base,
            body.split(';').filter_map(rust_method).collect(),
        ));
        rest = after;
    }
    all
}

fn rust_method(line: &str) -> Option<Method> {
    let (name, rest) = line.split_once("fn ")?.1.split_once('(')?;
    let list = rest.rsplit_once(')')?.0;
    let parameters = parameters(list);
    let parameters = parameters.iter().filter_map(|one| one.split_once(':'));
    let parameters = parameters.map(|(name, of)| (of.trim().to_owned(), name.trim().to_owned()));
    Some(Method {
        name: name.to_owned(),
        parameters: parameters.collect(),
    })
}

#[test]
fn header_says_what_the_idl_says() {
    let idl: Vec<_> = idl().into_iter().map(|(interface, _)| interface).collect();
    assert_eq!(idl.len(), 10);
    assert_eq!(idl, header());
}

#[test]
fn rust_says_what_the_idl_says() {
    let mut wanted: Vec<_> = idl().into_iter().map(|(interface, _)| interface).collect();
    let mut found = rust();
    found.retain(|interface| interface.name != "IHeld");
    for method in wanted
        .iter_mut()
        .flat_map(|interface| &mut interface.methods)
    {
        for (of, name) in &mut method.parameters {
            let known = TYPES.iter().find(|(c, _)| c == of);
            *of = known
                .unwrap_or_else(|| panic!("{of} is not known"))
                .1
                .to_owned();
            name.clear();
        }
    }
    for method in found
        .iter_mut()
        .flat_map(|interface| &mut interface.methods)
    {
        method
            .parameters
            .iter_mut()
            .for_each(|(_, name)| name.clear());
    }
    assert_eq!(wanted, found);
}

#[test]
fn methods_stand_where_clients_expect_them() {
    let all = idl();
    let find = |name: &str| all.iter().find(|(interface, _)| interface.name == name);
    // The four of IDispatch follow the three of IUnknown.
    let above = |interface: &Interface| {
        let (mut base, mut count) = (find(&interface.base), 7);
        while let Some((above, _)) = base {
            count += above.methods.len();
            base = find(&above.base);
        }
        count
    };
    for (name, method, slot) in SLOTS {
        let (interface, _) = find(name).unwrap();
        let place = interface
            .methods
            .iter()
            .position(|found| found.name == *method);
        assert_eq!(above(interface) + place.unwrap(), *slot, "{name}::{method}");
    }
}

#[test]
fn one_object_answers_each_number_once() {
    let all: BTreeMap<_, _> = idl()
        .into_iter()
        .map(|(of, ids)| (of.name, (of.base, ids)))
        .collect();
    for (name, (base, ids)) in &all {
        let first = match all.get(base) {
            Some((_, above)) => above.last().unwrap() + 1,
            // Its numbers are beside those of any other interface of the object.
            None if name == "IVixHandle" => 101,
            None => 1,
        };
        let wanted: Vec<_> = (first..).take(ids.len()).collect();
        assert_eq!(*ids, wanted, "{name}");
        assert!(*ids.last().unwrap() <= 100 || first >= 101, "{name}");
    }
}

#[test]
fn identifiers_are_the_same_everywhere() {
    let (idl_text, header) = (plain(&text("VixCOM.idl")), plain(&text("include/VixCOM.h")));
    let mut wanted: BTreeMap<_, _> = idl()
        .into_iter()
        .map(|(of, _)| (format!("IID_{}", of.name), of.iid))
        .collect();
    let of = |begin: &str, end: &str| {
        idl_text
            .split(end)
            .next()
            .unwrap()
            .rsplit(begin)
            .next()
            .unwrap()[..36]
            .to_lowercase()
    };
    wanted.insert("LIBID_VixCOM".into(), of("[uuid(", "] library VixCOM"));
    wanted.insert("CLSID_VixLib".into(), of("[uuid(", "] coclass VixLib"));
    let names = of("[uuid(", "] coclass VixNames");
    let defined = header.split("DEFINE_GUID(").skip(1).map(|text| {
        let (name, numbers) = text.split(')').next().unwrap().split_once(", ").unwrap();
        (name.to_owned(), uuid(numbers))
    });
    assert_eq!(defined.collect::<BTreeMap<_, _>>(), wanted);
    for (file, uuid) in [
        ("src/dll.rs", &wanted["CLSID_VixLib"]),
        ("src/dll.rs", &names),
        ("src/registry.rs", &wanted["LIBID_VixCOM"]),
    ] {
        let number = format!("0x{}", uuid.replace('-', "_"));
        assert!(text(file).contains(&number), "{file} has no {number}");
    }
    for (name, uuid) in wanted.iter().filter(|(name, _)| !name.starts_with("LIBID")) {
        let name = name.split_once('_').unwrap().1;
        let (numbers, _) = between(&header, &format!("__CRT_UUID_DECL({name}, "), ")").unwrap();
        assert_eq!(&self::uuid(numbers), uuid, "{name}");
    }
}

/// Writes the numbers of a GUID as a text.
fn uuid(numbers: &str) -> String {
    let digits: String = numbers.split(", ").map(|number| &number[2..]).collect();
    let places = [0..8, 8..12, 12..16, 16..20, 20..32];
    places.map(|place| &digits[place]).join("-")
}

#[test]
fn header_has_the_constants_of_com() {
    let header = plain(&text("include/VixCOM.h"));
    let enums = header
        .split("enum {")
        .skip(1)
        .map(|text| text.split('}').next().unwrap());
    let lines = enums
        .flat_map(|body| body.split(','))
        .filter_map(|line| line.split_once('='));
    let found = lines.map(|(name, value)| (name.trim().to_owned(), value.trim().parse().unwrap()));
    let wanted = ALL
        .iter()
        .filter(|row| row.in_com && row.group != "com_hresult");
    let wanted = wanted.map(|row| (row.name.to_owned(), row.value));
    assert_eq!(found.collect::<BTreeMap<String, i64>>(), wanted.collect());
    let hresult = format!("#define VIXCOM_E_VIX_ERROR ((HRESULT)0x{VIXCOM_E_VIX_ERROR:08x}L)");
    assert!(header.contains(&hresult), "{hresult}");
}
