namespace sample;
using { managed, cuid } from '@sap/cds/common';

entity Customers : managed {
  key code   : String(20);
      name   : String(100) not null;
      credit : Decimal(15, 2);
      since  : Date;
      seen   : Timestamp;
      active : Boolean;
      visits : Integer;
      big    : Int64;
      rate   : Double;
      note   : LargeString;
}

entity Orders : cuid, managed {
  number   : String(20) @assert.unique;
  customer : Association to Customers;
  total    : Decimal(15, 2);
}
