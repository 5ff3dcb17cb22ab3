//! The section `responses`.

use rate_limit_tower::{DraftFields, HeaderFields, ResetFormat};

use super::given;
use crate::configuration::ResponseSettings;
use crate::document::ResponsesSection;
use crate::read::Located;

pub(super) fn responses(section: Option<Located<ResponsesSection>>) -> ResponseSettings {
    let Some(section) = given(section) else {
        return ResponseSettings::default();
    };
    let draft = given(section.draft_headers).map_or(DraftFields::default(), |draft| draft.0);
    let reset = given(section.reset).map_or(ResetFormat::default(), |reset| reset.0);
    let fields = HeaderFields::new().draft(draft);
    let header_fields = match given(section.legacy_headers) {
        Some(false) => fields.without_legacy(),
        Some(true) | None => fields.legacy(reset),
    };
    ResponseSettings {
        header_fields,
        expose: given(section.expose).map(|expose| expose.0).unwrap_or_default(),
        problem_type_base: given(section.problem_type_base).map(|url| url.0),
        documentation_url: given(section.documentation_url).map(|url| url.0),
        retry_jitter_percent: given(section.retry_jitter_percent).map_or(0, |percent| percent.to()),
    }
}
