//! `$metadata`: a service as CSDL in XML.
//!
//! *Source*: OData CSDL XML 4.0; the Capabilities vocabulary, whose terms say that everything here is only read.

use std::fmt::Write;

use crate::service::{Edm, EntitySet, NAMESPACE};

/// The whole document. *Shape*: names are identifiers, so that nothing needs escaping.
pub fn edmx(sets: &[EntitySet]) -> String {
    let mut out = String::with_capacity(2_000 + sets.len() * 1_000);
    out.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    out.push_str("<edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\">\n");
    for (file, namespace, alias) in
        [("Core.V1", "Org.OData.Core.V1", "Core"), ("Capabilities.V1", "Org.OData.Capabilities.V1", "Capabilities")]
    {
        let uri = format!("https://oasis-tcs.github.io/odata-vocabularies/vocabularies/Org.OData.{file}.xml");
        let _ = writeln!(
            out,
            "  <edmx:Reference Uri=\"{uri}\">\n    <edmx:Include Namespace=\"{namespace}\" Alias=\"{alias}\"/>\n  </edmx:Reference>"
        );
    }
    out.push_str("  <edmx:DataServices>\n");
    let _ = writeln!(out, "    <Schema Namespace=\"{NAMESPACE}\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">");
    // Several sets may show one entity, each in its own columns: every set has a type of its own.
    for set in sets {
        entity_type(&mut out, set, sets);
    }
    out.push_str("      <EntityContainer Name=\"Container\">\n");
    out.push_str("        <Annotation Term=\"Core.ODataVersions\" String=\"4.0\"/>\n");
    out.push_str(
        "        <Annotation Term=\"Capabilities.ConformanceLevel\" EnumMember=\"Capabilities.ConformanceLevelType/Intermediate\"/>\n",
    );
    out.push_str("        <Annotation Term=\"Capabilities.FilterFunctions\">\n          <Collection>\n");
    let names = crate::lower::FUNCTIONS.iter().map(|(name, ..)| *name);
    for name in names.chain(["now", "mindatetime", "maxdatetime"]) {
        let _ = writeln!(out, "            <String>{name}</String>");
    }
    out.push_str("          </Collection>\n        </Annotation>\n");
    for (term, value) in [("BatchSupported", true), ("AsynchronousRequestsSupported", false)] {
        let _ = writeln!(out, "        <Annotation Term=\"Capabilities.{term}\" Bool=\"{value}\"/>");
    }
    for set in sets {
        entity_set(&mut out, set);
    }
    out.push_str("      </EntityContainer>\n    </Schema>\n  </edmx:DataServices>\n</edmx:Edmx>\n");
    out
}

fn entity_type(out: &mut String, set: &EntitySet, sets: &[EntitySet]) {
    let _ = writeln!(out, "      <EntityType Name=\"{}\">", set.of);
    let _ = writeln!(out, "        <Key>\n          <PropertyRef Name=\"{}\"/>\n        </Key>", set.key);
    for property in &set.properties {
        let _ = write!(out, "        <Property Name=\"{}\" Type=\"{}\"", property.name, property.ty.name());
        if !property.nullable {
            out.push_str(" Nullable=\"false\"");
        }
        if let Some(length) = property.max_length {
            let _ = write!(out, " MaxLength=\"{length}\"");
        }
        match property.ty {
            Edm::Decimal(Some(scale)) => {
                let _ = write!(out, " Precision=\"28\" Scale=\"{scale}\"");
            }
            Edm::Decimal(None) => out.push_str(" Scale=\"variable\""),
            Edm::DateTimeOffset => out.push_str(" Precision=\"7\""),
            Edm::Date => out.push_str(" Precision=\"0\""),
            _ => {}
        }
        out.push_str("/>\n");
    }
    for navigation in &set.navigations {
        let Some(target) = sets.iter().find(|other| other.name == navigation.set) else { continue };
        let _ = writeln!(
            out,
            "        <NavigationProperty Name=\"{}\" Type=\"{NAMESPACE}.{}\">\n          <ReferentialConstraint Property=\"{}\" ReferencedProperty=\"{}\"/>\n        </NavigationProperty>",
            navigation.name, target.of, navigation.property, target.key
        );
    }
    out.push_str("      </EntityType>\n");
}

fn entity_set(out: &mut String, set: &EntitySet) {
    let _ = writeln!(out, "        <EntitySet Name=\"{}\" EntityType=\"{NAMESPACE}.{}\">", set.name, set.of);
    for navigation in &set.navigations {
        let _ = writeln!(
            out,
            "          <NavigationPropertyBinding Path=\"{}\" Target=\"{}\"/>",
            navigation.name, navigation.set
        );
    }
    for (term, property, value) in [
        ("InsertRestrictions", "Insertable", false),
        ("UpdateRestrictions", "Updatable", false),
        ("DeleteRestrictions", "Deletable", false),
        ("SearchRestrictions", "Searchable", false),
        ("CountRestrictions", "Countable", true),
        ("FilterRestrictions", "Filterable", true),
        ("SortRestrictions", "Sortable", true),
        ("ExpandRestrictions", "Expandable", !set.navigations.is_empty()),
    ] {
        let _ = writeln!(
            out,
            "          <Annotation Term=\"Capabilities.{term}\">\n            <Record>\n              <PropertyValue Property=\"{property}\" Bool=\"{value}\"/>\n            </Record>\n          </Annotation>"
        );
    }
    for term in ["TopSupported", "SkipSupported"] {
        let _ = writeln!(out, "          <Annotation Term=\"Capabilities.{term}\" Bool=\"true\"/>");
    }
    out.push_str("        </EntitySet>\n");
}
