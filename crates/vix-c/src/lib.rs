//! `libvixAllProducts.so`: the VIX C API over the object model of `vix`. Shims only.
#![expect(
    non_snake_case,
    reason = "the library's name, and those of its functions, are VIX's"
)]
