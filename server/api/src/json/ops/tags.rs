//! TagResource, UntagResource, ListTagsOfResource.

use trilith_domain::ops::{
    ListTagsOfResourceInput, ListTagsOfResourceOutput, Tag, TagResourceInput, UntagResourceInput,
};

use crate::json::shape::structure;
use crate::json::write::{ToJson, Writer};

structure!(TagResourceInput { "ResourceArn" => resource_arn, "Tags" => tags });

structure!(UntagResourceInput { "ResourceArn" => resource_arn, "TagKeys" => tag_keys });

structure!(ListTagsOfResourceInput { "ResourceArn" => resource_arn, "NextToken" => next_token });

structure!(Tag { "Key" => key, "Value" => value });

impl ToJson for Tag {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.optional("Key", self.key.as_ref());
            out.optional("Value", self.value.as_ref());
        });
    }
}

pub(super) fn list_members(list: &ListTagsOfResourceOutput, out: &mut Writer) {
    out.member("Tags", &list.tags);
    out.optional("NextToken", list.next_token.as_ref());
}
