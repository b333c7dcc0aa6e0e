"""Networks of other libraries as models of ours; a library is imported when it is used."""
