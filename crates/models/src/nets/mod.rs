//! Networks. A network is a plain description; its numbers live in [`Params`], so that one description serves the
//! trained parameters, their moving average and a loaded file.

mod activation;
mod bijection;
mod field;
mod jet;
mod mlp;
mod params;
mod pass;
#[cfg(test)]
mod testing;
mod unet;

pub use activation::Activation;
pub use bijection::{Bijection, BijectionConfig, Conditioning, Transformer};
pub(crate) use field::frequencies;
pub use field::{Architecture, FieldConfig, FieldNet};
pub(crate) use jet::Jet;
pub use mlp::{InitScheme, Mlp, MlpConfig, Output, Skip};
pub use params::{Init, Layout, Params};
pub use pass::{Gradient, Pass, square_penalty};
pub use unet::{Unet, UnetConfig};
