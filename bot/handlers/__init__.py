"""What people ask for. Each module handles one kind of request, and exports its handlers.

Nothing here sends anything: answers are saved, and the sender shows them.
"""
