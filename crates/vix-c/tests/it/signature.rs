//! The functions of the API as the header and the library's source have them: name, result and
//! parameters, read from the text of either.

use std::path::Path;

/// A function, its types in the words of one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub name: String,
    pub result: String,
    /// Type and name of each.
    pub parameters: Vec<(String, String)>,
    /// Whether any number of arguments may follow.
    pub variadic: bool,
}

/// Returns the text of `vix.h` without comments and lines of the preprocessor.
pub fn header() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/vix.h");
    let text = std::fs::read_to_string(path).unwrap();
    let mut code = String::new();
    let mut rest = text.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").unwrap().1;
    }
    code.push_str(rest);
    let lines = code.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Returns the prototypes of a header.
pub fn prototypes(header: &str) -> Vec<Signature> {
    let statements = header.split(';').map(|statement| {
        let statement = statement.trim();
        statement
            .strip_prefix("extern \"C\" {")
            .unwrap_or(statement)
    });
    let prototypes = statements.filter(|statement| {
        statement.contains('(') && !statement.trim_start().starts_with("typedef")
    });
    prototypes.map(prototype).collect()
}

fn prototype(statement: &str) -> Signature {
    let (head, parameters) = statement.trim().split_once('(').unwrap();
    let (result, name) = declared(head);
    let parameters = parameters
        .strip_suffix(')')
        .unwrap()
        .split(',')
        .map(declared);
    let (variadic, parameters): (Vec<_>, Vec<_>) =
        parameters.partition(|(_, name)| name.is_empty());
    assert!(
        variadic.iter().all(|(dots, _)| dots == "..."),
        "{statement}"
    );
    Signature {
        name,
        result,
        parameters,
        variadic: !variadic.is_empty(),
    }
}

/// Splits `const char *name` into its type and its name.
fn declared(text: &str) -> (String, String) {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name_at = words.trim_end_matches(is_name).len();
    let (of_type, name) = words.split_at(name_at);
    (of_type.trim().to_string(), name.to_string())
}

/// Returns the functions that the library's source offers to C.
pub fn exported_functions() -> Vec<Signature> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let texts = sources.map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| functions(&text)).collect()
}

fn functions(source: &str) -> Vec<Signature> {
    let items = source.split("#[unsafe(no_mangle)]").skip(1);
    items
        .map(|item| function(item.split_once("extern \"C\" fn ").unwrap().1))
        .collect()
}

fn function(text: &str) -> Signature {
    let (name, rest) = text.split_once('(').unwrap();
    let (parameters, rest) = rest.split_once(')').unwrap();
    let (result, body) = rest.split_once('{').unwrap();
    let parameters = parameters
        .split(',')
        .filter(|parameter| !parameter.trim().is_empty());
    let parameters = parameters.map(|parameter| {
        let (name, of_type) = parameter.split_once(':').unwrap();
        let name = name.trim().trim_start_matches('_');
        (of_type.trim().to_string(), name.to_string())
    });
    Signature {
        name: name.to_string(),
        result: result.trim().trim_start_matches("->").trim().to_string(),
        parameters: parameters.collect(),
        // Those are jumps to functions in C.
        variadic: body.trim_start().starts_with("naked_asm!"),
    }
}

#[test]
fn a_prototype_is_read() {
    let header = "typedef int A;\nconst char *f(A a, void *b,\n  ...);\nvoid g(A *out);\n";
    let [f, g] = &prototypes(header)[..] else {
        panic!("two prototypes")
    };
    assert_eq!(
        (f.name.as_str(), f.result.as_str(), f.variadic),
        ("f", "const char *", true)
    );
    assert_eq!(
        f.parameters,
        [("A".into(), "a".into()), ("void *".into(), "b".into())]
    );
    assert_eq!(
        (g.name.as_str(), g.result.as_str(), g.variadic),
        ("g", "void", false)
    );
    assert_eq!(g.parameters, [("A *".into(), "out".into())]);
}
