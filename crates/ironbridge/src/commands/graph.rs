//! `ironbridge graph`: the hub as a picture.

use crate::cli::{Cli, Picture};
use crate::failure::Failure;
use crate::{say, wiring};

pub fn graph(cli: &Cli, picture: Picture) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let text = match picture {
        Picture::Mermaid => definition::mermaid(&project, None),
        Picture::Svg => definition::svg(&project, None),
    };
    say!("{}", text.trim_end());
    Ok(0)
}
