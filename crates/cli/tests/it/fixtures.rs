//! Files that the test projects have in common.

pub const BRONZE_CUSTOMERS: &str = "source: { files: landing/customers/, glob: \"*.csv\", settle: 0s }\n";
pub const BRONZE_ORDERS: &str = "source: { files: landing/orders/, glob: \"*.csv\", settle: 0s }\n";

pub const SILVER_CUSTOMERS: &str =
    "from: bronze.customers\ncontract: customers\nsteps: [validate]\nwrite: { keys: [customer] }\n";

pub const GOLD_DAILY: &str = "/*
window: { column: day, size: 1 day }
*/
SELECT day, count(*) AS orders, sum(amount) AS amount FROM silver.orders GROUP BY day
";

pub const CUSTOMERS_CSV: &str = "customer,name\nc1,Ada\nc2,Ben\n";

pub const CUSTOMERS: &str = "apiVersion: v3.1.0
kind: DataContract
id: customers
name: customers
version: 1.0.0
status: active
schema:
  - name: customers
    properties:
      - { name: customer, logicalType: string, primaryKey: true, primaryKeyPosition: 1, required: true }
      - { name: name, logicalType: string }
";

/// The contract of orders, with columns of the project's own at its end.
macro_rules! orders_contract {
    ($own_columns:literal) => {
        concat!(
            "apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - { name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1, required: true }
      - name: customer
        logicalType: string
        required: true
        relationships:
          - to: customers.customer
            customProperties:
              - { property: alluvium.action, value: quarantine }
      - { name: day, logicalType: date, required: true }
      - name: amount
        logicalType: number
        physicalType: decimal(12, 2)
        logicalTypeOptions: { minimum: 0 }
        required: true
",
            $own_columns
        )
    };
}
pub(crate) use orders_contract;
