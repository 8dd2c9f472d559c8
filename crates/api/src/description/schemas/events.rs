//! The audit log.

use serde_json::json;

use super::{Named, answer, page, reference, text, text_or_null};

#[rustfmt::skip]
pub(super) fn schemas() -> Named {
    vec![
        ("Event", answer("An entry of the audit log.", json!({
            "id": reference("EventId"), "tenant_id": reference("TenantId"), "at": reference("Timestamp"), "actor": reference("Tagged"),
            "source": text_or_null(), "request_id": text_or_null(), "event": reference("Tagged"),
        }))),
        ("EventPage", page("Event")),
        ("Tagged", json!({
            "type": "object", "required": ["type"], "properties": { "type": text() }, "additionalProperties": true,
            "description": "A fact or an actor: `type` names its kind, the other members belong to that kind. New kinds come; pass over what you do not know.",
        })),
    ]
}
