//! One owned row: the convenience beside [`crate::Batch`].

use std::sync::Arc;

use crate::{Column, Schema, Value};

/// A row with its schema. *Shape*: as many values as the schema has columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    schema: Arc<Schema>,
    values: Vec<Value>,
}

impl Row {
    /// # Panics
    /// If there are not as many values as columns: both come from our own code, at the same place.
    pub fn new(schema: Arc<Schema>, values: Vec<Value>) -> Row {
        assert_eq!(schema.len(), values.len(), "a row has one value for each column of its schema");
        Row { schema, values }
    }

    /// This row with one more column.
    #[must_use]
    pub fn with(self, column: Column, value: Value) -> Row {
        let columns = self.schema.columns().iter().cloned().chain([column]).collect();
        let values = self.values.into_iter().chain([value]).collect();
        Row::new(Schema::new(columns), values)
    }

    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    pub fn values(&self) -> &[Value] {
        &self.values
    }

    pub fn into_values(self) -> Vec<Value> {
        self.values
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.schema.index(name).map(|i| &self.values[i])
    }

    pub fn at_mut(&mut self, column: usize) -> &mut Value {
        &mut self.values[column]
    }

    /// Names and values, in the order of the schema.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.schema.columns().iter().map(|c| &*c.name).zip(&self.values)
    }
}
