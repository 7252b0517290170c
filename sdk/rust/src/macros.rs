/// Declares the inputs of a function: a struct, usually with the lifetime of the call.
///
/// A field is `name: Type`, `name: Type [shape]` or either followed by `as "port name"`. A shape has one entry a
/// dimension: a number, a name (equal wherever it stands in the function) or `?` (any). Doc comments go to the description.
#[macro_export]
macro_rules! inputs {
    ($($declaration:tt)*) => { $crate::__ports!([in] $($declaration)*); };
}

/// Declares the outputs of a function, written like [`inputs!`].
#[macro_export]
macro_rules! outputs {
    ($($declaration:tt)*) => { $crate::__ports!([out] $($declaration)*); };
}

/// Declares a struct that is the inputs of one function and the outputs of one, written like [`inputs!`].
#[macro_export]
macro_rules! ports {
    ($($declaration:tt)*) => { $crate::__ports!([in out] $($declaration)*); };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __ports {
    ([$($way:ident)*] $(#[$m:meta])* $v:vis struct $name:ident<$lt:lifetime> $body:tt) => {
        $crate::__ports!(@struct [$(#[$m])* $v struct $name<$lt>] $body);
        $($crate::__ports!(@$way $lt [<$lt>] [$name<$lt>] $body);)*
    };
    ([$($way:ident)*] $(#[$m:meta])* $v:vis struct $name:ident $body:tt) => {
        $crate::__ports!(@struct [$(#[$m])* $v struct $name] $body);
        $($crate::__ports!(@$way 'call [] [$name] $body);)*
    };
    (@struct [$($head:tt)*]
        { $($(#[doc = $doc:literal])* $fv:vis $field:ident: $ty:ty $([$($dim:tt),*])? $(as $port:literal)?),* $(,)? }
    ) => {
        $($head)* {
            $($(#[doc = $doc])* $fv $field: $ty),*
        }
    };
    (@in $lt:lifetime [$($generics:tt)*] [$name:ty]
        { $($(#[doc = $doc:literal])* $fv:vis $field:ident: $ty:ty $([$($dim:tt),*])? $(as $port:literal)?),* $(,)? }
    ) => {
        impl<$lt> $crate::Inputs<$lt> for $name {
            fn describe(into: &mut $crate::guest::PortList) {
                $(into.add::<$ty>($crate::__ports!(@name $field $($port)?), &[$($doc),*], $crate::__ports!(@shape $([$($dim),*])?));)*
            }
            fn load(values: &$lt [$crate::guest::Value]) -> $crate::Result<Self> {
                let mut values = values.iter();
                Ok(Self { $($field: $crate::guest::load($crate::__ports!(@name $field $($port)?), values.next())?),* })
            }
        }
    };
    (@out $lt:lifetime [$($generics:tt)*] [$name:ty]
        { $($(#[doc = $doc:literal])* $fv:vis $field:ident: $ty:ty $([$($dim:tt),*])? $(as $port:literal)?),* $(,)? }
    ) => {
        impl $($generics)* $crate::Outputs for $name {
            fn describe(into: &mut $crate::guest::PortList) {
                $(into.add::<$ty>($crate::__ports!(@name $field $($port)?), &[$($doc),*], $crate::__ports!(@shape $([$($dim),*])?));)*
            }
            fn store(self, values: &mut [$crate::guest::Value], keep: &mut $crate::guest::Keep) -> $crate::Result<()> {
                let mut values = values.iter_mut();
                $($crate::guest::store($crate::__ports!(@name $field $($port)?), self.$field, values.next(), keep)?;)*
                Ok(())
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $port:literal) => { $port };
    (@shape) => { None };
    (@shape [$($dim:tt),*]) => { Some(&[$(stringify!($dim)),*]) };
}

/// Declares how a node configures a function.
///
/// A field is `name: Type;` or `name: Type = default;`, each with rules before the semicolon: `, min 0`, `, max 9`,
/// `, one_of "fast" "exact"`, `, required`. Without a default it is its type's. A default for a `String` is `"text".into()`.
#[macro_export]
macro_rules! config {
    ($(#[$m:meta])* $v:vis struct $name:ident {
        $($(#[doc = $doc:literal])* $fv:vis $field:ident: $ty:ty $(= $default:expr)? $(, $rule:ident $($value:literal)*)*;)*
    }) => {
        $(#[$m])*
        $v struct $name {
            $($(#[doc = $doc])* $fv $field: $ty),*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $crate::config!(@default $ty $(= $default)?).unwrap_or_default()),* }
            }
        }

        impl $crate::Config for $name {
            fn schema() -> Option<String> {
                let mut required: Vec<&str> = Vec::new();
                $($(if stringify!($rule) == "required" {
                    required.push(stringify!($field));
                })*)*
                Some($crate::guest::object(&[$($crate::guest::property::<$ty>(
                    stringify!($field), &[$($doc),*], $crate::config!(@default $ty $(= $default)?),
                    &[$($crate::Rule { name: stringify!($rule), values: &[$(stringify!($value)),*] }),*],
                )),*], &required))
            }
            fn check() -> $crate::Result<()> {
                $($crate::guest::check(stringify!($field),
                    &[$($crate::Rule { name: stringify!($rule), values: &[$(stringify!($value)),*] }),*])?;)*
                Ok(())
            }
            fn decode(host: &dyn $crate::Host) -> $crate::Result<Self> {
                Ok($name { $($field: $crate::guest::value(
                    host, stringify!($field), $crate::config!(@default $ty $(= $default)?), false $(|| stringify!($rule) == "required")*,
                )?),* })
            }
        }
    };
    (@default $ty:ty) => { None::<$ty> };
    (@default $ty:ty = $default:expr) => { Some::<$ty>($default) };
}

/// Makes a crate a plugin. A function is `name;` or `name = path;`, followed by its outcomes if it has any:
/// `find, outcomes { nothing: 1 };`. Doc comments go to the description. A plugin with `stateful: true` keeps its memory
/// between calls.
#[macro_export]
macro_rules! plugin {
    (name: $name:literal, version: $version:literal, doc: $doc:literal, $(stateful: $stateful:literal,)? functions: {
        $($(#[doc = $fdoc:literal])* $f:ident $(= $path:path)? $(, outcomes { $($outcome:ident: $code:literal),* $(,)? })?;)*
    } $(,)?) => {
        /// Describes the plugin, as the server reads it.
        pub fn description() -> $crate::Description {
            let mut d = $crate::Description::new($name, $version, $doc, false $(|| $stateful)?);
            $(d.add(stringify!($f), &[$($fdoc),*], &[$($((stringify!($outcome), $code)),*)?], $crate::plugin!(@path $f $($path)?));)*
            d
        }

        #[cfg(target_arch = "wasm32")]
        mod tandem_exports {
            use super::*;

            const FUNCTIONS: &[$crate::Function] = &[$($crate::Function {
                decode: || $crate::guest::decode($crate::plugin!(@path $f $($path)?)),
                invoke: |ctx, input, output, with, keep| {
                    $crate::guest::invoke($crate::plugin!(@path $f $($path)?), ctx, input, output, with, keep)
                },
            }),*];

            #[no_mangle]
            extern "C" fn tdm1_describe() -> u64 {
                $crate::guest::describe(description())
            }
            #[no_mangle]
            extern "C" fn tdm1_alloc(size: u32, align: u32) -> u32 {
                $crate::guest::alloc(size, align, FUNCTIONS)
            }
            #[no_mangle]
            extern "C" fn tdm1_init(_: u32, _: u32) -> i32 {
                $crate::guest::configure(FUNCTIONS)
            }
            #[no_mangle]
            extern "C" fn tdm1_run(request: u32) -> i32 {
                $crate::guest::run(FUNCTIONS, request)
            }
        }
    };
    (@path $f:ident) => { $f };
    (@path $f:ident $path:path) => { $path };
}
