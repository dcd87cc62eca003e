"""Who may reach what of Gradio: its routes, the files that are uploaded to pages, open pages, and the content policy."""
