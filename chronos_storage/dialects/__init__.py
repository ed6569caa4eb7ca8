"""One message in the form of a provider's API, and such a form as the fields of a message.

A file a provider. The fields that a form is read into are those of `Message`, the calls in the form that OpenAI's Chat
Completions has, which is the one that most write. How a whole session is given to a model, with calls and results
paired, is `Storage.context`.
"""
