"""Tables of products as shops export them: CSV in any of its forms, told by the file itself."""
