//! The macros that export a backend as a plugin, in either form.

/// Exports the named [`Backend`](crate::Backend) as the crate's plugin: as a
/// component in a build for WebAssembly, and as a dynamic library in another build
/// with the feature `library` of this crate.
///
/// The crate must be a `cdylib`. In any other build, such as a test, the macro
/// only checks that the type implements [`Backend`](crate::Backend).
#[macro_export]
macro_rules! export_backend {
    ($backend:ty) => {
        const _: () = {
            const fn is_backend<B: $crate::Backend>() {}
            is_backend::<$backend>();
        };

        $crate::export_library!($backend);

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Instance;

            impl $crate::component::BackendInstance for Instance {
                type Backend = $backend;

                fn backend() -> ::std::rc::Rc<$backend> {
                    ::std::thread_local! {
                        static BACKEND: ::std::rc::Rc<$backend> = ::std::rc::Rc::new(
                            <$backend as $crate::Backend>::new($crate::component::host()),
                        );
                    }
                    BACKEND.with(::std::rc::Rc::clone)
                }
            }

            type Exports = $crate::component::ComponentExports<Instance>;

    $crate::bindings::export!(Exports with_types_in $crate::bindings);
        };
    };
}

/// The part of [`export_backend!`](crate::export_backend) for dynamic libraries.
/// In a macro of its own, since the feature is that of this crate.
#[cfg(all(feature = "library", not(target_family = "wasm")))]
#[doc(hidden)]
#[macro_export]
macro_rules! export_library {
    ($backend:ty) => {
        const _: () = {
            struct Exports;

            impl $crate::library::LibraryExports for Exports {
                type Backend = $backend;

                fn description() -> &'static ::std::sync::OnceLock<::std::vec::Vec<u8>> {
                    static DESCRIPTION: ::std::sync::OnceLock<::std::vec::Vec<u8>> =
                        ::std::sync::OnceLock::new();
                    &DESCRIPTION
                }
            }

            static LIBRARY: $crate::library::abi::Library = $crate::library::functions::<Exports>();

            #[allow(unsafe_code, reason = "the name is that of the ABI")]
            #[unsafe(no_mangle)]
            extern "C" fn rdd_backend_library(
                _host_major: u32,
                _host_minor: u32,
            ) -> *const $crate::library::abi::Library {
                &raw const LIBRARY
            }
        };
    };
}

#[cfg(not(all(feature = "library", not(target_family = "wasm"))))]
#[doc(hidden)]
#[macro_export]
macro_rules! export_library {
    ($backend:ty) => {};
}
