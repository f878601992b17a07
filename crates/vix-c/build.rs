//! Gives the library the name by which clients find it, and builds what C alone can do.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/callback.c");
    println!("cargo:rerun-if-changed=src/variadic.c");
    println!("cargo:rerun-if-changed=include");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libvixAllProducts.so");
    // Jobs run on threads of the library: its code must stay where it is after a `dlclose`.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    cc::Build::new()
        .files(["src/callback.c", "src/variadic.c"])
        .include("include")
        .flag("-fvisibility=hidden")
        .extra_warnings(true)
        .compile("shims");
}
