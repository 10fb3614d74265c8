def register_converters():
    pass
