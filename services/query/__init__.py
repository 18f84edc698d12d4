"""The language of questions: filters, terms and what is asked with them; the arithmetic of vectors, and percentiles."""
