"""How good a method is: one row a shape and view, failures among them, and what the rows say together."""
