"""What a message says, in the forms of the providers' APIs.

`said` reads a record in whichever form it is stored, and a file a provider writes that as its API takes it. Those of
OpenAI and Anthropic also read an item of theirs into the fields of a record, by `items`, its calls in the form that
OpenAI's Chat Completions has, which is the one that most write. How a whole session is given to a model, with calls and
results paired, is `Storage.context`.
"""
