"""One module a question; a module that is put here is asked, drawn and written up with the others."""
